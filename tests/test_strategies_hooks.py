"""What a strategy is told between decisions, and what becomes of one that fails or never answers."""

import contextlib
import signal
import threading

import engine_worlds as worlds
import pytest

from chipwire.data.errors import BadTarget
from chipwire.strategies.base import Strategy
from chipwire.strategies.limits import TooSlowError, time_limit

warehouse, world, settings, utc = worlds.warehouse, worlds.world, worlds.settings, worlds.utc

START, END = "2024-01-02", "2024-01-12"


class Listener(Strategy):
    """Keeps what it is told, in order, and buys what it is told of."""

    name = "listener"

    def __init__(self):
        super().__init__()
        self.heard = []
        self.fills = []
        self.log = []

    def on_headline(self, view, headline):
        self.heard.append((view.venue, view.now, headline))
        self.log.append("headline")

    def on_fill(self, fill):
        self.fills.append(fill)
        self.log.append("fill")

    def decide(self, view):
        self.log.append("decide")
        named = {reading.issuer for _, _, headline in self.heard for reading in headline.readings}
        return {name: 0.2 for name in view.instruments if view.issuer(name) in named}


@pytest.fixture
def venues(world):
    world.flat("0981.HK", "2024-01-02", END, 16.0).flat("NVDA", "2024-01-02", END, 100.0)
    return world.fx("HKD", {"2023-12-20": 8.0}).model()


def test_a_headline_is_told_once_at_the_first_decision_that_can_know_it(venues):
    venues.signal("NVIDIA", "2024-01-02T01:00", 0.9, headline="before")  # known before the first decision
    venues.signal("NVIDIA", "2024-01-03T14:26", 0.9, headline="b", theme="sanctions")
    venues.signals([
        {"issuer": issuer, "at": "2024-01-04T14:25", "value": value, "headline": "a", "relevance": 0.5}
        for issuer, value in (("SMIC", -0.4), ("NVIDIA", 0.8))
    ])  # fmt: skip
    listener = Listener()
    venues.simulate(listener, settings(START, END))
    # Hong Kong decides at 01:15, New York at 14:25 UTC; what comes at that very instant is known.
    assert [(venue, now, headline.headline_id) for venue, now, headline in listener.heard] == [
        ("XHKG", utc("2024-01-04T01:15"), "b"),
        ("XNYS", utc("2024-01-04T14:25"), "a"),
    ]
    headline = listener.heard[1][2]
    assert headline.available_at == utc("2024-01-04T14:25")
    assert [(r.issuer, r.theme, r.value, r.novelty, r.relevance) for r in headline.readings] == [
        ("NVIDIA", "sanctions", 0.8, 1.0, 0.5), ("SMIC", "sanctions", -0.4, 1.0, 0.5),
    ]  # fmt: skip
    # Told at the instant it became available: nothing has decayed.
    assert [r.strength for r in headline.readings] == [0.8 * 0.5, -0.4 * 0.5]


def test_latency_makes_a_headline_known_later(venues):
    venues.signal("NVIDIA", "2024-01-04T14:25", 0.9)
    listener = Listener()
    venues.simulate(listener, settings(START, END, latency_minutes=1.0))
    assert [(venue, now) for venue, now, _ in listener.heard] == [("XHKG", utc("2024-01-05T01:15"))]


def test_an_order_that_follows_from_a_headline_told_at_another_venue_knows_its_cause(venues):
    venues.signal("NVIDIA", "2024-01-03T20:00", 0.9, headline="told in Hong Kong")
    account = venues.simulate(Listener(), settings(START, END))
    first = account.ledger.fills[0]
    assert (first.instrument, first.session.day) == ("NVDA", 4)
    assert [(cause.headline_id, cause.relation) for cause in first.causes] == [("told in Hong Kong", "own")]


def test_every_fill_is_told_once_before_the_next_decision(venues):
    venues.signal("NVIDIA", "2024-01-03T20:00", 0.9).signal("SMIC", "2024-01-03T20:00", 0.9)
    listener = Listener()
    account = venues.simulate(listener, settings(START, END, band=0.01))
    assert listener.fills == account.ledger.fills
    assert [fill.instrument for fill in listener.fills] == ["0981.HK", "NVDA"]
    assert listener.log[:12] == [
        "decide", "decide",  # 2 January: Hong Kong, New York
        "decide", "decide",
        "headline", "headline", "decide",  # the 4th, Hong Kong: both headlines, the order
        "fill", "decide",  # New York: Hong Kong's fill is over
        "fill", "decide", "decide",
    ]  # fmt: skip


def test_a_strategy_without_hooks_is_told_nothing_and_reads_nothing(venues):
    venues.signal("NVIDIA", "2024-01-03T20:00", 0.9)
    script = worlds.Reader({})
    venues.simulate(script, settings(START, END))
    assert all(view.reads == [] for view in script.views)


# --- failures ----------------------------------------------------------------------------------------------


class Failing(Listener):
    name = "failing"

    def __init__(self, where, what):
        super().__init__()
        self.where, self.what = where, what

    def _fail(self, where):
        if where == self.where:
            self.what()

    def on_headline(self, view, headline):
        super().on_headline(view, headline)
        self._fail("on_headline")

    def on_fill(self, fill):
        self._fail("on_fill")

    def decide(self, view):
        if self.heard:
            self._fail("decide")
        return super().decide(view)


def divide():
    return 1 / 0


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("decide", "2024-01-04 01:15 UTC: ZeroDivisionError: division by zero"),
        ("on_headline", "2024-01-04 01:15 UTC: on_headline: ZeroDivisionError: division by zero"),
        ("on_fill", "2024-01-05 01:15 UTC: on_fill: ZeroDivisionError: division by zero"),
    ],
)
def test_what_raises_is_named_with_its_decision_and_nothing_is_stored(venues, where, words):
    venues.signal("NVIDIA", "2024-01-03T20:00", 0.9)
    with pytest.raises(BadTarget) as caught:
        venues.run(Failing(where, divide), settings(START, END))
    assert str(caught.value) == f"strategy 'failing' at the decision of {words}"
    for table in worlds.RUN_TABLES:
        assert venues.warehouse.value(f"SELECT count(*) FROM {table}") == 0


def spin():
    while True:
        pass


def spin_and_swallow():
    while True:
        with contextlib.suppress(Exception):
            spin()


@pytest.mark.parametrize("where", ["decide", "on_headline", "on_fill"])
@pytest.mark.parametrize("what", [spin, spin_and_swallow])
def test_a_strategy_that_never_answers_is_given_up(venues, monkeypatch, where, what):
    monkeypatch.setattr(Failing, "decision_limit_s", 0.05)
    venues.signal("NVIDIA", "2024-01-03T20:00", 0.9)
    with pytest.raises(BadTarget) as caught:
        venues.simulate(Failing(where, what), settings(START, END))
    day = 5 if where == "on_fill" else 4
    assert str(caught.value) == (
        f"strategy 'failing' at the decision of 2024-01-0{day} 01:15 UTC: no answer within 0.05 s; the class may set "
        "decision_limit_s to allow more"
    )


# --- the limit itself --------------------------------------------------------------------------------------


def test_what_is_quick_is_left_alone_and_no_alarm_stays_behind():
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(60.0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_somebody_elses_alarm_goes_on():
    def other(*_):
        raise AssertionError

    before = signal.signal(signal.SIGALRM, other)
    try:
        signal.setitimer(signal.ITIMER_REAL, 3_600.0)
        with pytest.raises(TooSlowError), time_limit(0.01):
            spin()
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left <= 3_600.0
        assert signal.getsignal(signal.SIGALRM) is other
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_an_error_inside_is_not_hidden():
    with pytest.raises(ZeroDivisionError), time_limit(60.0):
        divide()


def test_off_the_main_thread_the_time_is_looked_at_afterwards():
    seen = []

    def work():
        try:
            with time_limit(0.0):
                seen.append("done")
        except TooSlowError as error:
            seen.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["done", "it took longer than 0 s"]
