"""`strategies check` finds what it is for, and passes what is sound; `strategies new` writes something sound."""

import json
import sys
from itertools import count
from pathlib import Path

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.cli import main
from chipwire.engine.check import check_strategy
from chipwire.strategies.base import Strategy
from chipwire.strategies.benchmarks import BuyAndHold, EqualWeight
from chipwire.strategies.event_drift import EventDrift
from chipwire.strategies.fade_mania import FadeMania
from chipwire.strategies.theme_momentum import ThemeMomentum

warehouse, written, settings, utc = worlds.warehouse, worlds.written, worlds.settings, worlds.utc

START, END = "2024-01-02", "2024-02-09"


@pytest.fixture
def noisy(written):
    """Return a world of three instruments at two venues, with news on most days and a dividend."""
    for seed, symbol in enumerate(("0981.HK", "NVDA", "AMD")):
        written.walk(symbol, "2023-12-01", END, 50.0, seed)
    written.fx("HKD", {"2023-12-20": 8.0, "2024-01-31": 7.9}).action("NVDA", "2024-02-06", "dividend", 0.5).model()
    random = np.random.default_rng(5)
    return written.signals([
        {"issuer": str(random.choice(["SMIC", "NVIDIA", "AMD"])), "headline": f"h{number}",
         "at": str(np.datetime64("2023-12-28") + np.timedelta64(int(random.integers(0, 60 * 1440)), "m")),
         "value": float(random.uniform(-1, 1)), "theme": str(random.choice(["sanctions", "ai_models"]))}
        for number in range(80)
    ])  # fmt: skip


def check(world, make, **options):
    found = check_strategy(make, world.warehouse, worlds.UNIVERSE, settings(START, END), **options)
    return {finding.check: finding for finding in found}


def results(world, make, **options):
    return {name: finding.result for name, finding in check(world, make, **options).items()}


ALL_OK = {"runs": "ok", "deterministic": "ok", "look-ahead": "ok", "set-wise": "ok"}


@pytest.mark.parametrize(
    ("make", "setwise"),
    [
        (ThemeMomentum, "ok"),
        (lambda: ThemeMomentum(short="true", themes="sanctions"), "ok"),
        (EqualWeight, "ok"),
        (BuyAndHold, "none"),
        (EventDrift, "ok"),
        (lambda: FadeMania(run=0.03, window=3, threshold=0.0), "none"),
    ],
)
def test_what_is_sound_passes(noisy, make, setwise):
    assert results(noisy, make) == ALL_OK | {"set-wise": setwise}


class Peeker(Strategy):
    """Reads the engine's arrays past the view: holds what will close higher than it opens."""

    name = "peeker"
    reads_signals = False

    def decide(self, view):
        venue = next(venue for venue in view._market.venues if venue.mic == view.venue)
        row = list(venue.session.tolist()).index(view.session)
        rise = np.nan_to_num(venue.close[row] - venue.open[row])
        return {name: 0.3 if rise[at] > 0 else 0.0 for at, name in enumerate(view.instruments)}


class NewsPeeker(Strategy):
    """Reads all signals of the run: holds the issuers that the next ten are good on."""

    name = "news-peeker"

    def decide(self, view):
        book = view._book
        known = int(np.searchsorted(book.available_at, np.datetime64(view.now.replace(tzinfo=None), "us"), "right"))
        issuer, value = book.columns["issuer"][known : known + 10], book.columns["value"][known : known + 10]
        good = set(issuer[value > 0])
        return {name: 0.3 if view.issuer(name) in good else 0.0 for name in view.instruments}


class Restless(Strategy):
    """Does something else each time it runs."""

    name = "restless"
    reads_signals = False
    numbers = count()

    def decide(self, view):
        return {view.instruments[0]: 1.0 / (2 + next(self.numbers))}


class Forgetful(EqualWeight):
    """Its set-wise form leaves an order out."""

    name = "forgetful"

    @classmethod
    def targets_setwise(cls, panels, configurations):
        found = super().targets_setwise(panels, configurations)
        found["XNYS"][0, 0, 0] = np.nan
        return found


class Misshapen(EqualWeight):
    name = "misshapen"

    @classmethod
    def targets_setwise(cls, panels, configurations):
        return {mic: array[0] for mic, array in super().targets_setwise(panels, configurations).items()}


class Raising(EqualWeight):
    name = "raising"

    @classmethod
    def targets_setwise(cls, panels, configurations):
        raise KeyError("no")


def setwise(answer):
    """Return a strategy whose set-wise form answers so."""

    class Odd(EqualWeight):
        name = "odd"

        @classmethod
        def targets_setwise(cls, panels, configurations):
            return answer(panels)

    return Odd


def words_for(panels):
    return {venue.mic: np.full((1, len(venue.decide_at), len(venue.instruments)), "a") for venue in panels.venues}


class Broken(Strategy):
    name = "broken"
    reads_signals = False

    def decide(self, view):
        return {view.instruments[0]: float("nan")}


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (Peeker, "look-ahead", "with all later rows cut it asks for something else: 0.3 and 0 for "),
        (NewsPeeker, "look-ahead", "with all later rows cut it asks for something else: 0.3 and 0 for "),
        (Restless, "deterministic", "two runs differ: 0.5 and "),
        (Forgetful, "set-wise", "differ: 0.333333 and no order for AMD at the decision of 2024-01-02 14:25 UTC"),
        (Misshapen, "set-wise", "gives shape (29, 1) for XHKG; it must give an array of shape (1, 29, 1)"),
        (Raising, "set-wise", "strategy 'raising' in targets_setwise: KeyError: 'no'"),
        (setwise(lambda panels: [1]), "set-wise", "it returned list; allowed: a mapping from MIC to array, or None"),
        (setwise(lambda panels: {}), "set-wise", "it gives nothing for XHKG; it must give an array of shape"),
        (setwise(lambda panels: dict.fromkeys(("XHKG", "XNYS"), 1.0)), "set-wise", "it gives float for XHKG"),
        (setwise(lambda panels: {"XXXX": 1.0}), "set-wise", "'XXXX' is no venue of the run; these are: XHKG, XNYS"),
        (setwise(lambda panels: words_for(panels)), "set-wise", "its array for XHKG holds <U1; it must hold numbers"),
        (setwise(lambda panels: sys.exit(0)), "set-wise", "in targets_setwise: SystemExit: 0"),
        (Broken, "runs", "strategy 'broken' at the decision of 2024-01-02 01:15 UTC: weight nan of 0981.HK"),
    ],
)
def test_what_is_unsound_is_found(noisy, make, name, words):
    found = check(noisy, make)
    assert {key for key, finding in found.items() if finding.result == "bad"} - {"look-ahead"} <= {name}
    assert found[name].result == "bad"
    assert words in found[name].detail


def test_progress_is_told_and_never_beyond_the_end(noisy):
    told = []
    check(noisy, EqualWeight, on_progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert told[-1] == (5, 5)


# --- the commands ------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run chipwire in an empty folder and return (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capfd.readouterr()
        code = main(list(arguments))
        return code, *capfd.readouterr()

    return call


def test_a_new_file_is_a_sound_strategy_and_is_never_overwritten(run, noisy):
    code, out, err = run("strategies", "new", "my_idea2.py")
    assert (code, out) == (0, "my_idea2.py\n")
    assert "chipwire strategies check my_idea2.py:MyIdea2" in err
    text = Path("my_idea2.py").read_text("utf-8")
    from chipwire.strategies.registry import strategy_class

    kind = strategy_class("my_idea2.py:MyIdea2")
    assert kind.name == "my-idea2"
    assert [name for name in ("example", "ExampleStrategy", "FILE") if name in text] == []
    found = check(noisy, kind)
    assert {name: finding.result for name, finding in found.items()} == ALL_OK | {"set-wise": "none"}
    assert ", 0 targets" not in found["runs"].detail

    code, out, err = run("strategies", "new", "my_idea2.py")
    assert (code, out, err) == (1, "", "error: my_idea2.py is there already; choose another name\n")
    assert Path("my_idea2.py").read_text("utf-8") == text


@pytest.mark.parametrize("name", ["idea.txt", "idea", "1.py", "-.py", "2nd.py"])
def test_a_new_file_must_be_a_python_file(run, name):
    code, _, err = run("strategies", "new", "--", name)
    assert code == 1
    assert f"{name}: it must be a Python file" in err
    assert not Path(name).exists()


PEEKER = """
from chipwire.strategies.base import Strategy

class Peeker(Strategy):
    name = "peeker"
    reads_signals = False

    def decide(self, view):
        print('hello')
        for venue in view._market.venues:
            if venue.mic == view.venue:
                row = venue.session.tolist().index(view.session)
                return {name: 0.1 * bool(venue.close[row, at] > venue.open[row, at])
                        for at, name in enumerate(view.instruments)}
"""


def test_a_file_in_a_folder_that_is_not_there_is_one_line(run):
    code, out, err = run("strategies", "new", "nowhere/my_idea3.py")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "nowhere/my_idea3.py cannot be written" in err


SPAN = ("--instruments", "NVDA,AMD", "--end", "2024-03-28", "--start", "2024-02-01")


def test_without_a_warehouse_the_check_is_made_on_the_demos_data(run):
    code, out, err = run("strategies", "check", "random", *SPAN, "--json")
    assert code == 0, err
    assert {row["check"]: row["result"] for row in json.loads(out)} == ALL_OK
    assert "checking on the demo's data" in err
    assert not Path("chipwire.duckdb").exists()


def test_a_failed_check_is_one_line_and_exit_1(run):
    Path("peeker.py").write_text(PEEKER, "utf-8")
    code, out, err = run("-q", "strategies", "check", "peeker.py:Peeker", *SPAN, "--json")
    assert code == 1
    assert {row["check"]: row["result"] for row in json.loads(out)} == ALL_OK | {
        "look-ahead": "bad",
        "set-wise": "none",
    }
    said = [line for line in err.splitlines() if line != "hello"]  # what a strategy prints is no data
    assert len(said) == 1
    assert said[0].startswith("error: strategy 'peeker' fails the check 'look-ahead': with all later rows cut")


def test_an_empty_list_of_instruments_is_not_all_of_them(run):
    code, out, err = run("strategies", "check", "random", "--instruments", ",")
    assert (code, out) == (1, "")
    assert err == "error: --instruments ',' names nothing; give at least one, or leave the option out\n"


def test_a_warehouse_that_was_named_must_be_there(run):
    code, _, err = run("--db", "none.duckdb", "strategies", "check", "random")
    assert code == 1
    assert "none.duckdb does not exist" in err
