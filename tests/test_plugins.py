"""Strategies from elsewhere: a real package, single files, and whatever may be wrong with them."""

import importlib
import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

import engine_worlds as worlds
import pytest

from chipwire.cli import main
from chipwire.data.errors import BadParameter, BadPlugin, UnknownName
from chipwire.engine import sweep
from chipwire.strategies import plugins
from chipwire.strategies.registry import all_strategies, make_strategy, strategy_class, strategy_names

warehouse, world = worlds.warehouse, worlds.world

HEAD = "from chipwire.strategies.base import Parameter, Strategy\n"
GOOD = HEAD + (
    "class Good(Strategy):\n"
    '    """Do nothing well."""\n'
    '    name = "good"\n'
    '    parameters = (Parameter("n", int, 1, "a number", 0, 9),)\n'
    "    reads_signals = False\n"
    "    def decide(self, view):\n"
    "        return {}\n"
)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a function that installs a package of one module: its entry points by name, and the module's text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    # Only what a test installs: the environment may have plugins of its own.
    everything = importlib.metadata.entry_points
    mine = set()

    def offered(**wanted):
        return [entry for entry in everything(**wanted) if entry.dist.name in mine]

    monkeypatch.setattr(plugins, "entry_points", offered)

    def install(package, points, text, version="1.0"):
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(text, "utf-8")
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", "utf-8")
        lines = [f"{name} = {module}:{attribute}" for name, attribute in points.items()]
        (info / "entry_points.txt").write_text("[chipwire.strategies]\n" + "\n".join(lines) + "\n", "utf-8")
        mine.add(package)
        importlib.invalidate_caches()

    yield install
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


@pytest.fixture
def run(capfd):
    """Run chipwire and return (exit code, stdout, stderr)."""

    def call(*arguments):
        capfd.readouterr()
        code = main(list(arguments))
        return code, *capfd.readouterr()

    return call


# --- packages ----------------------------------------------------------------------------------------------


def test_a_plugin_is_found_by_its_name_with_where_it_came_from(site, run):
    site("good-one", {"good": "Good"}, GOOD, version="2.5")
    found = strategy_class("good")
    assert (found.name, found.source) == ("good", "good-one 2.5")
    assert found(n="3").identity() == "good-one 2.5"
    code, out, _ = run("strategies", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["good"] == {"name": "good", "from": "good-one 2.5", "what": "Do nothing well."}
    assert set(rows) == {*strategy_names(), "good"}
    assert json.loads(run("strategies", "show", "good", "--json")[1])[0]["allowed"] == "a whole number from 0 to 9"


@pytest.mark.parametrize(
    ("points", "text", "reason"),
    [
        ({"bad": "Bad"}, "import no_such_module", "its import fails with ModuleNotFoundError: No module named"),
        ({"bad": "Bad"}, "1 / 0", "its import fails with ZeroDivisionError: division by zero"),
        ({"bad": "Bad"}, "raise SystemExit(3)", "its import fails with SystemExit: 3"),
        ({"bad": "Bad"}, "def Bad(:", "its import fails with SyntaxError"),
        ({"bad": "Missing"}, GOOD, "its import fails with AttributeError"),
        ({"bad": "make"}, "def make(): pass", "is a function, it must be a subclass of"),
        ({"bad": "Bad"}, "class Bad: name = 'bad'", "Bad is a class, it must be a subclass of"),
        ({"bad": "Good"}, GOOD, "class Good has the name 'good'; the two must be the same"),
        ({"bad": "Bad"}, GOOD + "class Bad(Good): pass", "name=None is not allowed; it must have one of its own"),
        ({"bad": "Bad"}, GOOD + "class Bad(Good): name = 'Bad One'", "name='Bad One' is not allowed"),
        ({"bad": "Bad"}, HEAD + "class Bad(Strategy): name = 'bad'", "it does not implement decide(view)"),
        ({"bad": "Bad"}, GOOD + "class Bad(Good):\n name = 'bad'\n parameters = ('n',)", "parameters must be a tuple"),
        ({"bad": "Bad"}, GOOD + "class Bad(Good):\n name = 'bad'\n parameters = Good.parameters * 2",
         "parameter 'n' is declared twice"),
        ({"bad": "Bad"}, GOOD + "class Bad(Good):\n name = 'bad'\n parameters = (Parameter('n', int, 10, '', 0, 9),)",
         "n=10 is not allowed: a whole number from 0 to 9"),
        ({"bad": "Bad"}, GOOD + "class Bad(Good):\n name = 'bad'\n decision_limit_s = 0", "decision_limit_s=0"),
        ({"bad": "Bad"}, GOOD + "class Bad(Good):\n name = 'bad'\n def on_headline(self, view, headline): pass",
         "it has on_headline but reads_signals = False"),
        ({"random": "Bad"}, GOOD + "class Bad(Good): name = 'random'", "chipwire has a strategy of that name"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_named_and_the_rest_works(site, run, points, text, reason):
    site("broken", points, text)
    site("good-one", {"good": "Good"}, GOOD)
    code, out, err = run("strategies", "list", "--json")
    assert code == 0
    assert {row["name"] for row in json.loads(out)} == {*strategy_names(), "good"}
    lines = err.strip().splitlines()
    assert len(lines) == 1
    assert f"strategy plugin '{next(iter(points))}' of broken 1.0 cannot be used: " in lines[0]
    assert reason in lines[0]
    assert strategy_class("random").__module__ == "chipwire.strategies.placebo"
    assert strategy_class("good").name == "good"
    if "bad" in points:
        code, out, err = run("backtest", "bad", "--start", "2024-01-02", "--end", "2024-02-01")
        assert (code, out) == (1, "")
        assert err.startswith("error: strategy plugin 'bad'")
        assert len(err.strip().splitlines()) == 1


def test_a_plugin_that_never_finishes_its_import_is_given_up(site, monkeypatch):
    monkeypatch.setattr(plugins, "IMPORT_LIMIT_S", 0.05)
    site("slow", {"slow": "Slow"}, "while True: pass")
    site("good-one", {"good": "Good"}, GOOD)
    usable, broken = all_strategies()
    assert "good" in usable
    assert [str(error) for error in broken] == [
        "strategy plugin 'slow' of slow 1.0 cannot be used: its import takes longer than 0.05 s"
    ]
    assert "slow" not in sys.modules


def test_a_name_that_two_packages_offer_is_used_by_neither(site):
    site("one", {"good": "Good"}, GOOD)
    site("two", {"good": "Good"}, GOOD)
    _, broken = all_strategies()
    assert len(broken) == 1
    assert str(broken[0]) == (
        "strategy plugin 'good' of one 1.0, two 1.0 cannot be used: several packages offer that name and none is "
        "used; uninstall all but one"
    )
    with pytest.raises(BadPlugin):
        strategy_class("good")


def test_what_a_plugin_prints_while_it_is_imported_is_no_data(site, run):
    site("loud", {"good": "Good"}, "print('hello')\n" + GOOD)
    code, out, err = run("strategies", "list", "--json")
    assert code == 0
    assert any(row["name"] == "good" for row in json.loads(out))
    assert err.strip() == "hello"


def test_a_keyboard_interrupt_is_not_the_plugins_fault(site):
    site("broken", {"bad": "Bad"}, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        all_strategies()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("1 / 0", "making it fails with ZeroDivisionError: division by zero"),
        ("raise SystemExit", "making it fails with SystemExit"),
        ("pass", "making it fails with AttributeError"),
        ("while True: pass", "making it takes longer than 0.05 s"),
    ],
)
def test_a_plugin_that_cannot_be_made_is_named(site, monkeypatch, run, body, reason):
    monkeypatch.setattr(plugins, "IMPORT_LIMIT_S", 0.05)
    site("broken", {"good": "Good"}, GOOD + f"    def __init__(self, **values):\n        {body}\n")
    with pytest.raises(BadPlugin) as caught:
        make_strategy("good", {})
    assert str(caught.value).startswith(f"strategy plugin 'good' of broken 1.0 cannot be used: {reason}")
    code, out, err = run("backtest", "good", "--start", "2024-01-02", "--end", "2024-02-01")
    assert (code, out, len(err.strip().splitlines())) == (1, "", 1)


def test_a_wrong_parameter_of_a_plugin_is_the_users_fault(site):
    site("good-one", {"good": "Good"}, GOOD)
    with pytest.raises(BadParameter, match="n='10' is not allowed: a whole number from 0 to 9"):
        make_strategy("good", {"n": "10"})
    assert make_strategy("random", {"seed": "3"}).values["seed"] == 3


def test_entry_points_that_cannot_be_read_leave_what_ships(site, monkeypatch, run):
    def broken(**_):
        raise ValueError("not enough values to unpack")

    monkeypatch.setattr(plugins, "entry_points", broken)
    code, out, err = run("strategies", "list", "--json")
    assert (code, len(json.loads(out))) == (0, len(strategy_names()))
    assert "the entry points of the installed packages cannot be read (not enough values" in err


def test_what_is_not_asked_for_is_not_imported(site):
    site("broken", {"bad": "Bad"}, "raise RuntimeError")
    site("good-one", {"good": "Good"}, GOOD)
    assert strategy_class("equal-weight").name == "equal-weight"
    assert strategy_class("good").name == "good"
    assert "broken" not in sys.modules
    with pytest.raises(UnknownName, match="did you mean 'good'"):
        strategy_class("goood")


@pytest.mark.parametrize("value", ["1", "yes"])
def test_a_variable_switches_all_plugins_off(site, monkeypatch, tmp_path, value):
    site("good-one", {"good": "Good"}, GOOD)
    (tmp_path / "own.py").write_text(GOOD, "utf-8")
    monkeypatch.setenv("CHIPWIRE_NO_PLUGINS", value)
    usable, broken = all_strategies()
    assert (list(usable), broken) == (strategy_names(), [])
    with pytest.raises(UnknownName):
        strategy_class("good")
    with pytest.raises(BadPlugin, match="unset CHIPWIRE_NO_PLUGINS"):
        strategy_class(f"{tmp_path / 'own.py'}:Good")
    monkeypatch.setenv("CHIPWIRE_NO_PLUGINS", "0")
    assert strategy_class("good").name == "good"


# --- files -------------------------------------------------------------------------------------------------


def test_a_file_is_known_by_its_content(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(GOOD, "utf-8")
    first = strategy_class(f"{path}:Good")
    assert strategy_class(f"{path}:Good") is first
    path.write_text(GOOD + "\n# changed\n", "utf-8")
    second = strategy_class(f"{path}:Good")
    assert second is not first
    assert first().identity() != second().identity()
    assert first.source.startswith("own.py ")


@pytest.mark.parametrize(
    ("reference", "text", "reason"),
    [
        ("none.py:Good", None, "No such file or directory; give it as FILE.py:CLASS"),
        ("own.py", GOOD, "there is no class '' in it; its classes: Good"),
        ("own.py:Goood", GOOD, "there is no class 'Goood' in it; its classes: Good"),
        ("own.py:Strategy", GOOD, "there is no class 'Strategy' in it; its classes: Good"),
        ("own.py:Good", "def (", "its import fails with SyntaxError"),
        ("own.py:Good", "\0", "its import fails with"),
        ("own.py:Good", "1 / 0\n" + GOOD, "its import fails with ZeroDivisionError"),
        ("own.py:Mine", GOOD + "class Mine(Good): name = 'random'", "chipwire has a strategy 'random' already"),
        ("own.py:Mine", GOOD + "class Mine(Good): pass", "name=None is not allowed"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, monkeypatch, reference, text, reason):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("own.py").write_text(text, "utf-8")
    with pytest.raises(BadPlugin) as caught:
        strategy_class(reference)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"strategy plugin '{reference}' cannot be used: ")


# --- a real package ----------------------------------------------------------------------------------------


@pytest.fixture
def night_shift():
    """Return the class of the package in ``tests/plugin_package``, found as any user's program finds it."""
    try:
        importlib.metadata.distribution("chipwire-night-shift")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the plugin package is not installed: pip install --no-deps tests/plugin_package")
    return strategy_class("night-shift")


def test_the_package_of_a_third_party_is_found(night_shift, run):
    assert night_shift.source == "chipwire-night-shift 1.0"
    assert night_shift(places="3").values == {"least": 0.5, "places": 3}
    rows = json.loads(run("strategies", "list", "--json")[1])
    assert {"night-shift"} == {row["name"] for row in rows if row["from"] == "chipwire-night-shift 1.0"}


def test_the_package_of_a_third_party_trades(night_shift, world):
    for symbol, price in (("NVDA", 100.0), ("AMD", 50.0)):
        world.flat(symbol, "2024-01-02", "2024-01-12", price)
    world.model().signal("NVIDIA", "2024-01-03T20:00", 0.9).signal("AMD", "2024-01-03T20:00", -0.9)
    strategy = night_shift(places=4)
    account = world.simulate(strategy, worlds.settings("2024-01-02", "2024-01-12"))
    # A quarter of a million at 100 is 2,500 shares, held for the session of the 4th.
    assert [(f.session.day, f.instrument, f.shares) for f in account.ledger.fills] == [
        (4, "NVDA", 2_500), (5, "NVDA", -2_500),
    ]  # fmt: skip
    assert strategy.fills == account.ledger.fills
    assert [cause.headline_id for cause in account.ledger.fills[0].causes] == ["NVIDIA@2024-01-03T20:00"]


def test_a_file_that_makes_no_values_is_named_by_a_sweep_too(tmp_path):
    file = tmp_path / "bare.py"
    file.write_text(GOOD + "    def __init__(self, **values):\n        pass\n", "utf-8")
    with pytest.raises(BadPlugin, match="making it fails with AttributeError"):
        sweep.make(strategy_class(f"{file}:Good"), {})
