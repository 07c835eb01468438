"""Point in time: what a decision is shown of signals, prices and FX, and not a row more."""

import math

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest

from chipwire.data.errors import BadTarget

warehouse, world, settings, utc = worlds.warehouse, worlds.world, worlds.settings, worlds.utc

START, END = "2024-01-02", "2024-01-12"
# New York opens at 14:30 UTC in winter and is decided five minutes before.
DECISION = "2024-01-04T14:25:00"


def ask(world, question, start=START, end=END, reader=True, **changes):
    """Return the answers of `question(view)` by session and venue."""
    answers = {}

    def plan(view):
        answers[(view.session.isoformat(), view.venue)] = question(view)

    world.simulate((worlds.Reader if reader else worlds.Script)(plan), settings(start, end, **changes))
    return answers


@pytest.fixture
def newyork(world):
    return world.flat("NVDA", START, END, 100.0).model()


def headlines(view, **options):
    return view.signals(**options)["headline_id"].tolist()


@pytest.mark.parametrize(
    ("at", "latency", "seen"),
    [
        ("2024-01-04T14:24:59.999999", 0.0, True),
        (DECISION, 0.0, True),
        ("2024-01-04T14:25:00.000001", 0.0, False),
        ("2024-01-04T14:15:00", 10.0, True),
        ("2024-01-04T14:15:00.000001", 10.0, False),
        ("2023-12-20T00:00:00", 0.0, True),
    ],
)
def test_a_headline_is_seen_from_its_availability_on(newyork, at, latency, seen):
    newyork.signal("NVIDIA", at, 0.5, headline="h")
    answers = ask(newyork, headlines, latency_minutes=latency)
    assert answers[("2024-01-04", "XNYS")] == (["h"] if seen else [])
    assert answers[("2024-01-05", "XNYS")] == ["h"]


def test_the_cutoff_moves_what_is_seen(newyork):
    newyork.signal("NVIDIA", "2024-01-04T13:45:00", 0.5, headline="h")
    assert ask(newyork, headlines, cutoff_minutes=45.0)[("2024-01-04", "XNYS")] == ["h"]
    assert ask(newyork, headlines, cutoff_minutes=46.0)[("2024-01-04", "XNYS")] == []


def test_an_undated_headline_is_never_seen(newyork):
    newyork.signal("NVIDIA", None, 0.5, headline="undated").signal("NVIDIA", "2024-01-03", 0.5, headline="dated")
    assert {tuple(seen) for seen in ask(newyork, headlines).values()} <= {(), ("dated",)}


def test_strength_decays_by_half_each_half_life(newyork):
    # Two days and five minutes before the decision; themes weigh, repeats count less.
    newyork.signal(
        "NVIDIA", "2024-01-02T14:20:00", -0.8, novelty=0.5, relevance=0.6, theme_weight=0.7, half_life_days=4.0
    )
    age = 2 + 5 / 1440
    for half_life, used in ((None, 4.0), (1.0, 1.0)):
        frame = ask(newyork, lambda view, h=half_life: view.signals(half_life_days=h))[("2024-01-04", "XNYS")]
        assert frame["age_days"].tolist() == [pytest.approx(age)]
        assert frame["strength"].tolist() == [pytest.approx(-0.8 * 0.5 * 0.6 * 0.7 * 2 ** (-age / used))]
        assert frame["available_at"].tolist() == [pd.Timestamp("2024-01-02T14:20:00Z")]


def test_signals_come_oldest_first_by_theme_and_within_the_lookback(newyork):
    newyork.signal("NVIDIA", "2024-01-03T10:00:00", 0.5, headline="b", theme="ai_models")
    newyork.signal("AMD", "2024-01-01T10:00:00", 0.5, headline="a")
    newyork.signal("AMD", "2023-11-01T10:00:00", 0.5, headline="old")
    key = ("2024-01-04", "XNYS")
    assert ask(newyork, headlines)[key] == ["a", "b"]
    assert ask(newyork, lambda view: headlines(view, lookback_days=100.0))[key] == ["old", "a", "b"]
    assert ask(newyork, lambda view: headlines(view, themes=["ai_models"]))[key] == ["b"]
    # Exactly one day and some hours: from 2024-01-03T10:00 to the decision.
    exact = (4 * 60 + 25) / 1440 + 1
    assert ask(newyork, lambda view: headlines(view, lookback_days=exact))[key] == ["b"]
    assert ask(newyork, lambda view: headlines(view, lookback_days=exact - 1e-9))[key] == []


@pytest.mark.parametrize("days", [0.0, -1.0, 366.0, float("nan")])
def test_a_lookback_that_is_not_loaded_is_refused(newyork, days):
    newyork.signal("NVIDIA", "2024-01-03T10:00:00", 0.5)
    with pytest.raises(BadTarget, match=f"reader.*lookback_days={days} is not allowed"):
        ask(newyork, lambda view: view.signals(lookback_days=days))


def test_a_strategy_that_declares_to_read_no_signals_gets_none(newyork):
    with pytest.raises(BadTarget, match="reads_signals = False"):
        ask(newyork, lambda view: view.signals(), reader=False)


def test_what_a_strategy_does_to_its_frame_changes_neither_the_book_nor_the_causes(newyork):
    newyork.signal("NVIDIA", "2024-01-03T10:00:00", 0.5, headline="h")

    def spoil(view):
        frame = view.signals()
        seen = frame["value"].tolist()
        frame["value"] = 9.0
        frame["strength"] *= 100.0
        del frame["issuer"]
        return seen, [(cause.headline_id, round(cause.strength, 9)) for cause in view.causes("NVDA")]

    answers = ask(newyork, spoil)
    assert answers[("2024-01-04", "XNYS")][0] == answers[("2024-01-05", "XNYS")][0] == [0.5]
    age = 1 + (4 * 60 + 25) / 1440
    assert answers[("2024-01-04", "XNYS")][1] == [("h", round(0.5 * 2 ** (-age / 5.0), 9))]


@pytest.mark.parametrize("fill", ["open", "close"])
def test_prices_never_hold_the_running_session(world, fill):
    days = world.sessions("NVDA", START, END)
    world.bars("NVDA", {s: (100.0 + i, 200.0 + i) for i, s in enumerate(days)})
    answers = ask(world, lambda view: view.prices("NVDA", 3), reader=False, fill=fill)
    for i, session in enumerate(days):
        frame = answers[(session, "XNYS")]
        assert frame["session"].astype(str).tolist() == days[max(0, i - 3) : i]
        assert frame["close"].tolist() == [200.0 + k for k in range(max(0, i - 3), i)]
    assert list(frame.columns) == ["session", "open", "high", "low", "close", "volume"]


def test_prices_of_another_venue_are_there_once_its_close_is_over(world):
    world.flat("NVDA", START, END, 100.0).flat("0981.HK", START, END, 16.0).fx("HKD", {"2023-12-28": 8.0})

    def last(symbol):
        return lambda view: view.prices(symbol, 1)["session"].astype(str).tolist()

    # New York is decided after Hong Kong's close of the same day, Hong Kong before New York's.
    assert ask(world, last("0981.HK"), reader=False)[("2024-01-04", "XNYS")] == ["2024-01-04"]
    assert ask(world, last("NVDA"), reader=False)[("2024-01-04", "XHKG")] == ["2024-01-03"]


def test_sessions_without_bars_are_skipped_and_odd_counts_are_harmless(world):
    world.bars("NVDA", {"2024-01-02": 1.0, "2024-01-04": 3.0, "2024-01-08": 4.0})
    answers = ask(
        world, lambda view: [len(view.prices("NVDA", n)) for n in (0, -1, 1, 2, 99)], reader=False, end="2024-01-08"
    )
    assert answers[("2024-01-02", "XNYS")] == [0, 0, 0, 0, 0]
    assert answers[("2024-01-08", "XNYS")] == [0, 0, 1, 2, 2]


def test_last_price_is_the_close_before_the_open_and_the_open_before_the_close(world):
    world.bars("NVDA", {"2023-12-29": (8.0, 9.0), "2024-01-02": (10.0, 11.0), "2024-01-03": (12.0, 13.0)})
    world.bars("AMD", {"2024-01-03": (50.0, 51.0)})

    def known(view):
        return [view.last_price("NVDA"), view.last_price("AMD")]

    opens = ask(world, known, reader=False, end="2024-01-03")
    np.testing.assert_equal(opens[("2024-01-02", "XNYS")], [9.0, math.nan])
    np.testing.assert_equal(opens[("2024-01-03", "XNYS")], [11.0, math.nan])
    closes = ask(world, known, reader=False, end="2024-01-03", fill="close")
    np.testing.assert_equal(closes[("2024-01-02", "XNYS")], [10.0, math.nan])
    np.testing.assert_equal(closes[("2024-01-03", "XNYS")], [12.0, 50.0])


def test_the_view_says_where_and_when_it_stands(world):
    for symbol, price in (("NVDA", 100.0), ("0981.HK", 16.0), ("SPY", 400.0)):
        world.flat(symbol, "2023-12-28", END, price)
    world.fx("HKD", {"2023-12-28": 8.0})
    strategy = worlds.Script({})
    world.simulate(strategy, settings(START, "2024-01-03", instruments=("NVDA", "SPY", "0981.HK"), capital=5_000.0))
    seen = [(view.venue, view.now, view.since, view.instruments) for view in strategy.views]
    own = {"XHKG": ("0981.HK",), "XNYS": ("NVDA", "SPY")}
    times = {"XHKG": ("2024-01-02T01:15", "2024-01-03T01:15"), "XNYS": ("2024-01-02T14:25", "2024-01-03T14:25")}
    assert seen == [
        ("XHKG", utc(times["XHKG"][0]), None, own["XHKG"]),
        ("XNYS", utc(times["XNYS"][0]), None, own["XNYS"]),
        ("XHKG", utc(times["XHKG"][1]), utc(times["XHKG"][0]), own["XHKG"]),
        ("XNYS", utc(times["XNYS"][1]), utc(times["XNYS"][0]), own["XNYS"]),
    ]
    view = strategy.views[-1]
    assert view.universe == ("0981.HK", "NVDA", "SPY")
    assert [view.issuer(symbol) for symbol in view.universe] == ["SMIC", "NVIDIA", None]
    assert (view.equity, view.positions) == (5_000.0, {})


@pytest.mark.parametrize("call", ["prices", "last_price", "issuer"])
def test_an_instrument_outside_the_run_is_named(world, call):
    world.flat("NVDA", START, END, 100.0)
    arguments = ("NVDIA", 1) if call == "prices" else ("NVDIA",)
    with pytest.raises(BadTarget, match="unknown instrument 'NVDIA'; did you mean 'NVDA'"):
        ask(world, lambda view: getattr(view, call)(*arguments), reader=False)


def test_causes_are_the_strongest_on_the_issuer_else_its_rivals(newyork):
    for n, value in enumerate((0.2, -0.9, 0.5, 0.4, 0.3, 0.6)):
        newyork.signal("NVIDIA", f"2024-01-03T10:0{n}:00", value, headline=f"n{n}")
    newyork.signal("AMD", "2024-01-03T11:00:00", 0.1, headline="amd")
    newyork.flat("INTC", START, END, 30.0)

    def causes(view):
        assert view.causes("NVDA") == []  # nothing was read yet
        view.signals(themes=["ai_models"])
        view.signals()
        return [(c.headline_id, c.relation) for c in view.causes("NVDA")], [
            (c.headline_id, c.relation) for c in view.causes("INTC")
        ]

    own, rival = ask(newyork, causes)[("2024-01-04", "XNYS")]
    assert own == [(name, "own") for name in ("n1", "n5", "n2", "n3", "n4")]
    assert rival == [(name, "rival") for name in ("n1", "n5", "n2", "n3", "n4")]


def scrambled(world, cut):
    """Change every bar, rate and signal that is known only after `cut`."""
    run = world.warehouse.run
    run("UPDATE bar SET open = open * 3, close = close * 2, high = high * 4, volume = 5 WHERE session >= ?", [cut])
    run("UPDATE fx_rate SET rate = rate * 1.7 WHERE available_at > ?", [cut])
    run("UPDATE signal SET value = -value, issuer = 'INTEL' WHERE available_at > ?", [cut])


def everything(view):
    """Return weights that depend on all that a view shows."""
    strength = view.signals()["strength"].sum()
    weights = {}
    for name in view.instruments:
        closes = view.prices(name, 5)["close"]
        trend = closes.iloc[-1] / closes.iloc[0] - 1 if len(closes) else 0.0
        held = view.positions.get(name, 0)
        account = (view.equity % 97.0) / 1e4 + (held % 7) / 1e3
        raw = 0.2 + trend + 0.01 * strength + account + view.last_price(name) % 1 / 50
        weights[name] = float(np.clip(raw, 0.0, 0.3)) if np.isfinite(raw) else 0.0
    return weights


@pytest.mark.parametrize("fill", ["open", "close"])
def test_changing_every_source_after_a_moment_changes_no_earlier_target(world, fill):
    start, end, cut = "2024-01-02", "2024-02-16", "2024-01-29"
    days = pd.date_range("2023-12-20", end).astype(str)
    values = list(zip(days, np.random.default_rng(5).uniform(-1, 1, len(days)), strict=True))

    def build():
        world.clear().model().walk("NVDA", "2023-12-01", end, 100.0, 1).walk("688981.SS", "2023-12-01", end, 50.0, 2)
        world.walk("0981.HK", "2023-12-01", end, 16.0, 3)
        for currency, rate in (("CNY", 7.1), ("HKD", 7.8)):
            world.fx(currency, {s: rate * (1 + 0.001 * (i % 9)) for i, s in enumerate(days)})
        issuers = ("SMIC", "NVIDIA")
        world.signals(
            [{"issuer": issuers[i % 2], "at": f"{s}T12:00:00", "value": v} for i, (s, v) in enumerate(values)]
        )

    def targets():
        account = world.simulate(worlds.Reader(everything), settings(start, end, fill=fill))
        return [(t.decision_at, t.instrument, t.weight) for t in account.ledger.targets]

    build()
    before = targets()
    scrambled(world, worlds.day(cut))
    after = targets()
    limit = utc(f"{cut}T00:00:00")
    assert [row for row in before if row[0] <= limit] == [row for row in after if row[0] <= limit]
    assert [row for row in before if row[0] > limit] != [row for row in after if row[0] > limit]
    assert len([row for row in before if row[0] <= limit]) > 40


def test_what_is_listed_later_is_neither_seen_nor_counted_before_its_first_auction(world):
    world.flat("NVDA", "2023-12-28", END, 100.0).flat("AMD", "2024-01-03", END, 50.0)
    strategy = worlds.Script({})
    world.simulate(strategy, settings(START, "2024-01-04"))
    seen = [(view.session.day, view.instruments, view.universe, view.awaited) for view in strategy.views]
    assert seen == [
        (2, ("NVDA",), ("NVDA",), ("AMD",)),
        (3, ("NVDA",), ("NVDA",), ("AMD",)),
        (4, ("AMD", "NVDA"), ("AMD", "NVDA"), ()),
    ]
