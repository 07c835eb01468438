"""From texts to configurations: what each form means, in which order, and what is refused in one line."""

from __future__ import annotations

import itertools
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.data.errors import BadParameter, InputError, UnknownName
from chipwire.engine.settings import Settings
from chipwire.engine.sweep_grid import make_grid
from chipwire.strategies.base import Parameter, Strategy

SPAN = {"start": "2024-01-02", "end": "2024-03-01"}


class Declared(Strategy):
    """One parameter of each kind."""

    name = "declared"
    parameters = (
        Parameter("count", int, 3, "how many", 1, 50),
        Parameter("level", float, 0.5, "how much", -1.0, 100.0),
        Parameter("both", bool, False, "whether"),
        Parameter("themes", str, "sanctions", "which", choices=("ai_models", "localization", "sanctions")),
        Parameter("path", str, "", "where"),
    )


def grid(*params, draws=0, seed=0, **settings):
    pairs = [(name, text) for name, _, text in (param.partition("=") for param in params)]
    return make_grid(Declared, pairs, SPAN | settings, draws=draws, seed=seed)


def values(text, **options):
    """Return the values of the only parameter that differs, configuration by configuration."""
    name = text.partition("=")[0]
    return [configuration.params[name] for configuration in grid(text, **options).configurations()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count=1,2,3", [1, 2, 3]),
        ("count=3, 1", [3, 1]),
        ("count=2,2,1", [2, 1]),
        ("count=1:8:3", [1, 4, 7]),
        ("level=0:0.5:0.1", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ("level=-0.1:0.1:0.1", [-0.1, 0.0, 0.1]),
        ("level=5,0:1:0.5", [5.0, 0.0, 0.5, 1.0]),
        ("level=2:2:1", [2.0]),
        ("both=true,false", [True, False]),
        ("themes=sanctions", ["sanctions"]),
        ("themes=sanctions+ai_models,localization", ["sanctions,ai_models", "localization"]),
        ("path=a.csv,b.csv", ["a.csv", "b.csv"]),
        ('path="a,b.csv",c:d:e', ["a,b.csv", "c:d:e"]),
    ],
)
def test_lists_and_ranges(text, expected):
    assert values(text) == expected


@given(st.integers(0, 40), st.integers(0, 60), st.integers(1, 25))
def test_a_range_is_every_step_up_to_its_end_in_exact_decimals(low, length, step):
    text = f"level={low / 100}:{(low + length) / 100}:{step / 100}"
    # Hundredths counted as whole numbers: 0.1 + 0.2 is 0.3 here.
    assert values(text) == [hundredths / 100 for hundredths in range(low, low + length + 1, step)]


def test_lists_are_crossed_and_the_last_moves_fastest():
    found = grid("count=1,2", "level=0,1", slippage_bps="0,5", fill="open,close")
    order = list(itertools.product([1, 2], [0.0, 1.0], [0.0, 5.0], ["open", "close"]))
    assert found.size == 16
    assert [
        (c.params["count"], c.params["level"], c.settings.slippage_bps, c.settings.fill) for c in found.configurations()
    ] == order


def test_settings_are_read_in_their_own_types():
    found = grid(instruments="NVDA+AMD,INTC", cutoff_minutes="5", start="2024-01-02,2024-02-01")
    assert [(c.settings.start, c.settings.instruments) for c in found.configurations()] == [
        (date(2024, 1, 2), ("NVDA", "AMD")), (date(2024, 1, 2), ("INTC",)),
        (date(2024, 2, 1), ("NVDA", "AMD")), (date(2024, 2, 1), ("INTC",)),
    ]  # fmt: skip
    assert all(c.settings.cutoff_minutes == 5.0 for c in found.configurations())


def test_what_is_left_out_keeps_its_default():
    (only,) = grid().configurations()
    assert only.settings == Settings(start=date(2024, 1, 2), end=date(2024, 3, 1))
    assert (only.params, only.model) == ({}, None)


# --- random draws ----------------------------------------------------------------------------------------


def test_draws_lie_in_their_range_and_come_again_with_the_same_seed():
    whole = values("count=random:int:1:8", draws=400, seed=7)
    assert set(whole) == set(range(1, 9))  # each of eight is missed with probability 8 x (7/8)^400
    uniform = values("level=random:uniform:0.2:0.4", draws=200, seed=7)
    assert all(0.2 <= value <= 0.4 for value in uniform)
    assert uniform == values("level=random:uniform:0.2:0.4", draws=200, seed=7)
    assert uniform != values("level=random:uniform:0.2:0.4", draws=200, seed=8)


def test_a_log_draw_is_uniform_in_the_logarithm():
    logs = np.log10(values("level=random:log:0.01:100", draws=2000, seed=1))
    assert logs.min() >= -2
    assert logs.max() <= 2
    # Uniform on [-2, 2]: mean 0 and deviation 4 / sqrt(12), here within five standard errors.
    assert abs(logs.mean()) < 5 * (4 / 12**0.5) / len(logs) ** 0.5


def test_choices_are_drawn_among_those_named():
    drawn = values("themes=random:choice:sanctions+ai_models,localization", draws=50)
    assert set(drawn) == {"sanctions,ai_models", "localization"}


def test_draws_are_joint_and_crossed_with_lists():
    found = grid("count=random:int:1:50", "level=random:uniform:0:1", "both=true,false", draws=5, seed=3)
    rows = [(c.params["count"], c.params["level"], c.params["both"]) for c in found.configurations()]
    assert found.size == len(rows) == 10
    assert len({row[:2] for row in rows}) == 5
    assert [row[2] for row in rows] == [True, False] * 5


def test_one_more_axis_changes_no_draw_of_another():
    alone = grid("count=random:int:1:50", draws=20, seed=3)
    among = grid("level=random:uniform:0:1", "count=random:int:1:50", draws=20, seed=3)
    assert among.axes[1].values == alone.axes[0].values


def test_equal_draws_run_once():
    found = grid("count=random:int:1:3", draws=100)
    assert found.size == 100
    assert sorted(c.params["count"] for c in found.configurations()) == [1, 2, 3]


def test_settings_are_drawn_too():
    found = grid(slippage_bps="random:uniform:0:20", latency_minutes="random:int:0:60", draws=30)
    for configuration in found.configurations():
        assert 0 <= configuration.settings.slippage_bps <= 20
        assert configuration.settings.latency_minutes == int(configuration.settings.latency_minutes) <= 60


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("count=", "a value between any two commas"),
        ("count=1,,2", "a value between any two commas"),
        ("count=0,1", "from 1 to 50"),
        ("count=1.5", "a whole number"),
        ("count=1:3:0.5", "a whole number"),
        ("level=nan", "a number"),
        ("level=0:1:0", "step of a range must be a number above 0"),
        ("level=0:1:-0.1", "step of a range must be a number above 0"),
        ("level=1:0:0.1", "the range is empty"),
        ("level=0:1", "LO:HI:STEP"),
        ("level=0:x:1", "LO:HI:STEP"),
        ("level=0:inf:1", "a range is of finite numbers"),
        ("level=0:1:nan", "a range is of finite numbers"),
        ("level=0:1:0.0000001", "at most 1,000,000 values"),
        ("level=0:1e300:1", "at most 1,000,000 values"),
        ("count=1,random:int:1:5", "a draw stands alone"),
        ("both=perhaps", "true or false"),
        ("themes=chips", "ai_models, localization, sanctions"),
        ('path="a,b', "quotes do not close"),
        ("count=random:int:8:1", "the range is empty"),
        ("count=random:int:1.5:3", "whole numbers"),
        ("count=random:int:0:50", "from 1 to 50"),
        ("count=random:int:1:1e30", "from 1 to 50"),
        ("count=random:uniform:1:3", "random:int:LO:HI"),
        ("level=random:int:-1e30:1e30", "a number"),
        ("level=random:uniform:0:inf", "two finite numbers"),
        ("level=random:log:0:1", "above 0"),
        ("level=random:normal:0:1", "random:uniform:LO:HI"),
        ("level=random:uniform:0", "random:uniform:LO:HI"),
        ("path=random:uniform:0:1", "random:choice:A,B,C"),
    ],
)
def test_a_text_that_makes_no_sense_is_refused_with_its_name(text, says):
    with pytest.raises(BadParameter) as caught:
        grid(text, draws=2 if "random" in text else 0)
    message = str(caught.value)
    assert message.startswith(text.partition("=")[0] + "=")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"start": "2024-13-01"}, "YYYY-MM-DD"),
        ({"slippage_bps": "much"}, "a number"),
        ({"slippage_bps": "0,-5"}, "from 0 to 1000"),
        ({"fill": "open,noon"}, "open or close"),
        ({"end": "2024-02-01,2023-02-01"}, "must not lie after"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings, says):
    with pytest.raises(BadParameter, match=says):
        list(grid(**settings).configurations())


def test_names_that_are_not_declared_or_given_twice():
    with pytest.raises(UnknownName, match="did you mean 'level'"):
        grid("levle=1")
    with pytest.raises(InputError, match="given twice"):
        grid("level=1", "level=2")


def test_draws_and_random_axes_need_each_other():
    with pytest.raises(InputError, match="no parameter is random"):
        grid("level=1,2", draws=3)
    with pytest.raises(InputError, match="--draws N"):
        grid("level=random:uniform:0:1")
    with pytest.raises(BadParameter, match="at most 1,000,000"):
        grid("level=random:uniform:0:1", draws=10**11)


def test_more_configurations_than_can_be_kept_are_refused_before_they_are_made():
    with pytest.raises(InputError, match="5,000,050 configurations"):
        grid("count=1:50:1", "level=0:100:0.001")
