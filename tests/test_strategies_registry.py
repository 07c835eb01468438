"""Every strategy is found by its name, and a wrong name by the nearest."""

import pytest

from chipwire.data.errors import UnknownName
from chipwire.strategies.base import Strategy
from chipwire.strategies.registry import strategy_class, strategy_names


def test_the_names_are_those_of_the_classes():
    names = strategy_names()
    assert names == sorted(names)
    assert {"theme-momentum", "event-drift", "targets-file", "equal-weight", "buy-and-hold"} <= set(names)
    for name in names:
        found = strategy_class(name)
        assert issubclass(found, Strategy)
        assert found.name == name


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_says_what_it_and_its_parameters_are(name):
    found = strategy_class(name)
    assert found.__doc__.strip()
    assert found.decide is not Strategy.decide
    declared = [parameter.name for parameter in found.parameters]
    assert len(declared) == len(set(declared))
    for parameter in found.parameters:
        assert parameter.help
        if parameter.name != "path":
            assert parameter.parse(parameter.default) == parameter.default
            assert parameter.parse(str(parameter.default)) == parameter.default


def test_an_unknown_name_says_what_to_do():
    with pytest.raises(UnknownName) as caught:
        strategy_class("theme-momentun")
    assert str(caught.value) == (
        "unknown strategy 'theme-momentun'; did you mean 'theme-momentum'?; see 'chipwire strategies list'"
    )
