"""Settings from ``chipwire.toml`` and variables: named as typed, checked whole, refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from chipwire.cli import cli, main
from chipwire.data.errors import InputError


def defaults(text: str) -> dict[str, Any]:
    """Return the defaults that a settings file gives, as click holds them."""
    Path("chipwire.toml").write_text(text, "utf-8")
    context = cli.make_context("chipwire", ["doctor"])
    assert context.default_map is not None
    return dict(context.default_map)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def values(command: str, *arguments: str) -> dict[str, Any]:
    """Return what the parameters of a command come to, of the file and the variables that are there."""
    with cli.make_context("chipwire", [command, *arguments]) as context:
        below = cli.commands[command]
        table = (context.default_map or {}).get(command)
        return below.make_context(command, list(arguments), parent=context, default_map=table).params


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[backtest]\nstart = 5\n", "backtest.start = 5 is not allowed: '5' does not match"),
        ("[backtest]\ncapital = [1, 2]\n", "backtest.capital = [1, 2] is not allowed: it takes one value"),
        ("[backtest]\ncapital = true\n", "backtest.capital = true is not allowed"),
        ("[backtest]\ncheck = 'perhaps'\n", 'backtest.check = "perhaps" is not allowed'),
        ("[backtest]\np = [[1]]\n", "backtest.p = [[1]] is not allowed"),
        ("[rejects]\nlimit = 1.5\n", "rejects.limit = 1.5 is not allowed"),
        ("[report]\nformat = {html = true}\n", 'report.format = {"html": true} is not allowed'),
        ("backtest = 5\n", "backtest = 5: backtest is a command"),
        ("db = 5\n", "db = 5 is not allowed: it takes a path in quotes"),
        ("db = [1]\n", "db = [1] is not allowed"),
        ("frobnicate = 1\n", "unknown setting 'frobnicate'; 'chipwire --help' lists"),
        ("[backtest]\ncapitol = 1\n", "unknown setting 'backtest.capitol'; did you mean 'capital'?"),
        ("[ingest.news]\nmapp = 'a=b'\n", "unknown setting 'ingest.news.mapp'; did you mean 'map'?"),
        ("[backtst]\ncapital = 1\n", "unknown setting 'backtst'; did you mean 'backtest'?"),
        ("config = 'other.toml'\n", "unknown setting 'config'"),
        ("[backtest]\nslippage-bps = 1\nslippage_bps = 2\n", "backtest.slippage_bps stands there twice"),
        ("a = " + "[" * 5000 + "]" * 5000, "it must be a TOML file"),
        ("a = " + "9" * 5000 + "\n", "it must be a TOML file"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line_with_file_key_and_value(
    text: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("chipwire.toml").write_text(text, "utf-8")
    assert main(["doctor"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: chipwire.toml: ")
    assert says in err


def test_options_are_named_as_they_are_typed() -> None:
    Path("chipwire.toml").write_text(
        "[backtest]\nstart = 2024-07-01\nend = '2024-08-01'\nslippage-bps = 7\nfee_multiple = 2\np = ['top_k=2']\n"
        "json = true\n[report]\nformat = 'json'\nout = 'o'\n[explain]\nfile = 'a.csv'\n[rejects]\ncsv = true\njson = false\n",
        "utf-8",
    )
    found = values("backtest", "theme-momentum")
    assert [found[name].isoformat() for name in ("start", "end")] == ["2024-07-01T00:00:00", "2024-08-01T00:00:00"]
    assert (found["slippage_bps"], found["fee_multiple"], found["params"]) == (7.0, 2.0, ("top_k=2",))
    assert found["as_json"] is True
    assert values("report")["formats"] == "json"
    assert values("explain")["path"] == "a.csv"
    assert values("rejects")["fmt"] == "csv"
    assert values("rejects", "--json")["fmt"] == "json"


def test_a_group_and_an_option_of_one_name_are_told_apart() -> None:
    assert defaults("universe = 'mine'\n") == {"universe_folder": Path("mine")}
    assert defaults("[universe.list]\njson = true\n") == {"universe": {"list": {"fmt": "json"}}}


def test_every_option_of_every_command_has_a_name_of_its_own() -> None:
    # In the file an argument and an option of one name, or two options, could not be told apart.
    def check(command: click.Command) -> int:
        names = [str(it.name) for it in command.params if isinstance(it, click.Argument)]
        names += [max(it.opts, key=len).lstrip("-") for it in command.params if isinstance(it, click.Option)]
        assert len(names) == len(set(names)), command.name
        return len(names) + sum(check(below) for below in getattr(command, "commands", {}).values())

    assert check(cli) > 100


def test_the_command_line_wins_over_variables_and_these_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("chipwire.toml").write_text("[backtest]\ncapital = 1\nband = 0.5\nleverage = 3\n", "utf-8")
    monkeypatch.setenv("CHIPWIRE_BACKTEST_CAPITAL", "2")
    monkeypatch.setenv("CHIPWIRE_BACKTEST_BAND", "0.25")
    monkeypatch.setenv("CHIPWIRE_BACKTEST_P", "top_k=2 hold=3")
    monkeypatch.setenv("CHIPWIRE_BACKTEST_JSON", "1")
    monkeypatch.setenv("CHIPWIRE_BACKTEST_LEVERAGE", "")
    found = values("backtest", "x", "--start", "2024-01-01", "--end", "2024-02-01", "--band", "0.125")
    assert (found["capital"], found["band"], found["leverage"]) == (2.0, 0.125, 3.0)
    assert (found["params"], found["as_json"]) == (("top_k=2", "hold=3"), True)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("CHIPWIRE_BACKTEST_CAPITOL", "5", "CHIPWIRE_BACKTEST_CAPITOL; did you mean 'CHIPWIRE_BACKTEST_CAPITAL'?"),
        ("CHIPWIRE_DBB", "x.duckdb", "unknown variable CHIPWIRE_DBB; did you mean 'CHIPWIRE_DB'?"),
        ("CHIPWIRE_MEMROY", "4GB", "did you mean 'CHIPWIRE_MEMORY'?"),
        ("CHIPWIRE_BACKTEST_CAPITAL", "much", 'CHIPWIRE_BACKTEST_CAPITAL="much" is not allowed'),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError) as caught:
        defaults("")
    assert says in str(caught.value)


def test_variables_of_no_command_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHIPWIRE_MEMORY", "1GB")
    monkeypatch.setenv("CHIPWIRE_OF_A_PLUGIN", "x")
    monkeypatch.setenv("CHIPWIRE_DB", "other.duckdb")
    assert defaults("") == {"db": Path("other.duckdb")}


def test_a_variable_names_the_file(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text("[strategies.list]\njson = true\n", "utf-8")
    monkeypatch.setenv("CHIPWIRE_CONFIG", "mine.toml")
    assert main(["strategies", "list"]) == 0
    assert json.loads(capfd.readouterr().out)[0].keys() == {"name", "from", "what"}
