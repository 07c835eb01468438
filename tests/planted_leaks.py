"""A library of planted leaks, each with an honest twin, and the table of what finds each.

The strategies are plugins: the audit imports this file by its path. ``python tests/planted_leaks.py`` renews
docs/leaks.md.
"""

import json
import os
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from chipwire.strategies.base import Parameter, Strategy

FOLDER = "CHIPWIRE_PLANTED_FOLDER"
"""In the environment: where the leaks that read files find theirs."""
FILE = "CHIPWIRE_PLANTED_WAREHOUSE"
"""In the environment: the warehouse, for the leak that opens it."""


class Planted(Strategy):
    """Holds 15% of each instrument whose `score` is above 0."""

    reads_signals = False

    def score(self, view, name):
        raise NotImplementedError

    def decide(self, view):
        return {name: 0.15 if self.score(view, name) > 0 else 0.0 for name in view.instruments}


def place(view, name):
    """Return a venue, the row of the session that is decided, and an instrument's column."""
    for venue in view._market.venues:
        symbols = [instrument.symbol for instrument in venue.instruments]
        if name in symbols:
            return venue, int(np.searchsorted(venue.session, np.datetime64(view.session))), symbols.index(name)
    raise LookupError(name)


def stamp(moment):
    return np.datetime64(moment.replace(tzinfo=None), "us")


def news_until(view, name, until, last=1):
    """Sum the last values of an issuer's signals available by an instant, whatever the view says."""
    book = view._book
    known = int(np.searchsorted(book.available_at, until, side="right"))
    own = book.columns["issuer"][:known] == view.issuer(name)
    return float(book.columns["value"][:known][own][-last:].sum())


# --- prices ------------------------------------------------------------------------------------------------


class ShiftByOne(Planted):
    name = "shift-by-one"
    back = 0

    def score(self, view, name):
        venue, row, column = place(view, name)
        return np.nan_to_num(venue.close[row - self.back, column] - venue.open[row - self.back, column])


class ShiftByOneHonest(ShiftByOne):
    name = "shift-by-one-honest"
    back = 1


class TodaysOpen(Planted):
    name = "todays-open"

    def score(self, view, name):
        venue, row, column = place(view, name)
        return np.nan_to_num(venue.open[row, column] - venue.close[row - 1, column])


class TodaysOpenHonest(Planted):
    name = "todays-open-honest"

    def score(self, view, name):
        bars = view.prices(name, 2)
        return bars["open"].iloc[-1] - bars["close"].iloc[0] if len(bars) else 0.0


class WholeSample(Planted):
    name = "whole-sample"

    def sample(self, view, name):
        venue, _, column = place(view, name)
        return venue.close[:, column]

    def score(self, view, name):
        sample = self.sample(view, name)
        return view.last_price(name) - np.nanmean(sample) if np.isfinite(sample).any() else 0.0


class WholeSampleHonest(WholeSample):
    name = "whole-sample-honest"

    def sample(self, view, name):
        return view.prices(name, 1_000)["close"].to_numpy()


class FittedOnce(Planted):
    """Fits at its first decision, on all bars of the run, which instrument rises most."""

    name = "fitted-once"
    best = None

    def bars(self, view, name):
        venue, _, column = place(view, name)
        return venue.close[:, column]

    def score(self, view, name):
        if self.best is None:
            rise = {}
            for each in view.universe:
                bars = self.bars(view, each)
                bars = bars[~np.isnan(bars)]
                rise[each] = bars[-1] / bars[0] if len(bars) else 0.0
            self.best = max(sorted(rise), key=rise.get)
        return float(name == self.best)


class FittedOnceHonest(FittedOnce):
    name = "fitted-once-honest"

    def bars(self, view, name):
        return view.prices(name, 1_000)["close"].to_numpy()


class LabelLeft(Planted):
    """Weekly closes, labelled by the week's first day: this week's is Friday's."""

    name = "label-left"
    whole_weeks = False

    def score(self, view, name):
        venue, row, column = place(view, name)
        week = (venue.session.astype("datetime64[D]").astype(int) + 3) // 7  # from Monday
        ended = week < week[row] if self.whole_weeks else week <= week[row]
        closes = venue.close[ended, column]
        weeks = week[ended]
        last = [closes[weeks == each][-1] for each in np.unique(weeks)[-2:]]
        return np.nan_to_num(last[-1] - last[0]) if last else 0.0


class LabelLeftHonest(LabelLeft):
    name = "label-left-honest"
    whole_weeks = True


class Survivors(Planted):
    """Only what still trades at the end of the run."""

    name = "survivors"

    def alive(self, venue, row, column):
        return not np.isnan(venue.close[-1, column])

    def score(self, view, name):
        return float(self.alive(*place(view, name)))


class SurvivorsHonest(Survivors):
    name = "survivors-honest"

    def alive(self, venue, row, column):
        return not np.isnan(venue.close[max(row - 3, 0) : row, column]).all()


class HaltsKnown(Planted):
    """Leaves out what will not trade today."""

    name = "halts-known"
    back = 0

    def score(self, view, name):
        venue, row, column = place(view, name)
        return float(not np.isnan(venue.close[row - self.back, column]))


class HaltsKnownHonest(HaltsKnown):
    name = "halts-known-honest"
    back = 1


class DayVolume(Planted):
    name = "day-volume"
    back = 0

    def score(self, view, name):
        venue, row, column = place(view, name)
        now, before = venue.volume[row - self.back, column], venue.volume[row - self.back - 1, column]
        return np.nan_to_num(now - before)


class DayVolumeHonest(DayVolume):
    name = "day-volume-honest"
    back = 1


class LaterSplits(Planted):
    """Prices divided by all splits of the run, later ones too: what rises to 100 must have been adjusted."""

    name = "later-splits"

    def counted(self, when, row):
        return True

    def score(self, view, name):
        venue, row, column = place(view, name)
        price = view.last_price(name)
        for (when, own), actions in venue.actions.items():
            if own == column and self.counted(when, row):
                for action in actions:
                    price = price / action.value if action.kind == "split" else price
        return 60.0 - price


class LaterSplitsHonest(LaterSplits):
    name = "later-splits-honest"

    def counted(self, when, row):
        return when <= row


class NextFix(Planted):
    name = "next-fix"
    ahead = 1

    def score(self, view, name):
        at, rate = view._market.fx.at["HKD"], view._market.fx.rate["HKD"]
        index = int(np.searchsorted(at, stamp(view.now), side="right")) - 1
        return rate[min(index + self.ahead, len(rate) - 1)] - rate[index + self.ahead - 1]


class NextFixHonest(NextFix):
    name = "next-fix-honest"
    ahead = 0


# --- news --------------------------------------------------------------------------------------------------


class SameClose(Planted):
    """Fills at the close on what is stamped at that close."""

    name = "same-close"
    reads_signals = True

    def until(self, view):
        venue, row, _ = place(view, view.instruments[0])
        return venue.close_at[row]

    def score(self, view, name):
        return news_until(view, name, self.until(view))


class SameCloseHonest(SameClose):
    name = "same-close-honest"

    def until(self, view):
        return stamp(view.now)


class ZoneOff(SameClose):
    """Reads the stamps as if they were the venue's own time."""

    name = "zone-off"

    def until(self, view):
        return stamp(view.now + timedelta(hours=8))


class DayAtMidnight(SameClose):
    """Takes all news of a day as known at its midnight."""

    name = "day-at-midnight"

    def until(self, view):
        return stamp(view.now).astype("datetime64[D]") + np.timedelta64(1, "D")


class WholeRunScores(Planted):
    """Values less their mean over the whole run."""

    name = "whole-run-scores"
    reads_signals = True

    def mean(self, view):
        return float(np.mean(view._book.columns["value"])) if len(view._book) else 0.0

    def score(self, view, name):
        return news_until(view, name, stamp(view.now), 3) - 3 * self.mean(view)


class WholeRunScoresHonest(WholeRunScores):
    name = "whole-run-scores-honest"

    def mean(self, view):
        known = view.signals(lookback_days=365.0)["value"]
        return float(known.mean()) if len(known) else 0.0


class LaterStories(Planted):
    """Counts a story as novel when nothing like it follows."""

    name = "later-stories"
    reads_signals = True

    def others(self, view):
        return view._book.available_at

    def score(self, view, name):
        known = int(np.searchsorted(view._book.available_at, stamp(view.now), side="right"))
        if not known:
            return 0.0
        last = view._book.available_at[known - 1]
        near = np.abs(self.others(view) - last) < np.timedelta64(18, "h")
        return 2.5 - near.sum()


class LaterStoriesHonest(LaterStories):
    name = "later-stories-honest"

    def others(self, view):
        at = view._book.available_at
        return at[at <= stamp(view.now)]


# --- around the engine -------------------------------------------------------------------------------------


class EngineFrames(Planted):
    """Finds the engine's own market in the frames that called it."""

    name = "engine-frames"

    def score(self, view, name):
        frame = sys._getframe()
        while frame is not None:
            account = getattr(frame.f_locals.get("self"), "_account", None)
            if account is not None:
                venue, row, column = place(view, name)
                real = next(own for own in account.market.venues if own.mic == venue.mic)
                return np.nan_to_num(real.close[row, column] - real.open[row, column])
            frame = frame.f_back
        return 0.0


class EngineFramesHonest(ShiftByOneHonest):
    name = "engine-frames-honest"


class SetwiseShift(Strategy):
    """An honest `decide` with a set-wise form that is one decision ahead."""

    name = "setwise-shift"
    reads_signals = False
    ahead = 1

    def decide(self, view):
        return dict.fromkeys(view.instruments, 0.07 * (view.session.day % 3))

    @classmethod
    def targets_setwise(cls, panels, configurations):
        found = {}
        for venue in panels.venues:
            days = np.array([day.item().day for day in venue.session])
            weights = np.where(venue.listed[:, [panels.universe.index(name) for name in venue.instruments]],
                               0.07 * (days % 3)[:, None], np.nan)  # fmt: skip
            found[venue.mic] = np.roll(weights, -cls.ahead, axis=0)[None]
        return found


class SetwiseShiftHonest(SetwiseShift):
    name = "setwise-shift-honest"
    ahead = 0


class Awaited(Planted):
    """Keeps cash for what will be listed later."""

    name = "awaited"

    def decide(self, view):
        weight = 0.1 if view.awaited else 0.15
        return dict.fromkeys(view.instruments, weight)


class AwaitedHonest(Awaited):
    name = "awaited-honest"

    def decide(self, view):
        return dict.fromkeys(view.instruments, 0.15)


class WallClock(Planted):
    name = "wall-clock"

    def score(self, view, name):
        return datetime.now().toordinal() // 1_000 % 2  # noqa: DTZ005 - as careless as such code is


class WallClockHonest(Planted):
    name = "wall-clock-honest"

    def score(self, view, name):
        return view.now.toordinal() % 2


class Unseeded(Planted):
    name = "unseeded"

    def __init__(self, **values):
        super().__init__(**values)
        self.random = np.random.default_rng(self.seed())

    def seed(self):
        return None

    def decide(self, view):
        # Weights, for two runs of yes and no agree by chance now and then.
        return {name: 0.15 * self.random.random() for name in view.instruments}


class UnseededHonest(Unseeded):
    name = "unseeded-honest"

    def seed(self):
        return 1


_MEMORY: dict = {}


class Remembers(Planted):
    """What one run saw, the next one knows beforehand."""

    name = "remembers"

    def __init__(self, **values):
        super().__init__(**values)
        self.known = self.memory()
        self.before = dict(self.known)

    def memory(self):
        return _MEMORY

    def score(self, view, name):
        self.known[name, view.session] = view.last_price(name)
        later = [price for (own, day), price in self.before.items() if own == name and day > view.session]
        return later[0] - view.last_price(name) if later else 1.0


class RemembersHonest(Remembers):
    name = "remembers-honest"

    def memory(self):
        return {}


class CacheFile(Planted):
    """Keeps what it saw in a file that the next run finds."""

    name = "cache-file"

    def score(self, view, name):
        path = Path(os.environ[FOLDER]) / "cache.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        known[f"{name} {view.session}"] = view.last_price(name)
        path.write_text(json.dumps(known))
        return len(known) % 2


class ReadsWarehouse(Planted):
    """Opens the warehouse by itself, where the environment says it is."""

    name = "reads-warehouse"

    last = None

    def score(self, view, name):
        import duckdb

        if self.last is None:
            sql = "SELECT instrument, arg_max(close, session) FROM bar GROUP BY instrument"
            with duckdb.connect(os.environ[FILE], read_only=True) as connection:
                self.last = dict(connection.execute(sql).fetchall())
        return self.last.get(name, 0.0) - view.last_price(name)


class FittedAtInit(FittedOnce):
    """Fits before the run, on a file that lies beside the warehouse."""

    name = "fitted-at-init"

    def __init__(self, **values):
        super().__init__(**values)
        self.best = (Path(os.environ[FOLDER]) / "best.txt").read_text().strip()


class FittedAtInitHonest(FittedOnce):
    """Reads the same file, which a parameter names: the audit says that it cannot cut it."""

    name = "fitted-at-init-honest"
    parameters = (Parameter("path", str, "", "a file with an instrument in it"),)

    def __init__(self, **values):
        super().__init__(**values)
        self.best = Path(self.values["path"]).read_text().strip()


class ParquetBeside(Planted):
    """Reads later prices from a Parquet file, which Arrow opens without a word to Python."""

    name = "parquet-beside"

    def score(self, view, name):
        import pyarrow.parquet as pq

        return float(len(pq.read_table(str(Path(os.environ[FOLDER]) / "later.parquet"))) > 0)


# --- the table ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leak:
    """A planted leak.

    Attributes
    ----------
    what : str
        In a few words.
    found_by : tuple of str
        The checks that find it, all of them.
    strategy : str
        Class of this file; empty for a leak in the data.
    sources : tuple of str
        What is named as the cause.
    fill : str
        The auction at which the run fills.
    twin : str
        The honest twin; empty: the class of the same name with ``Honest``.
    """

    what: str
    found_by: tuple[str, ...]
    strategy: str = ""
    sources: tuple[str, ...] = ()
    fill: str = "open"
    twin: str = ""


CUT, SCRAMBLED = "later rows cut", "later rows scrambled"
BOTH = (CUT, SCRAMBLED)
COPIES = ("warehouse cut", "warehouse scrambled")

IN_MEMORY = (
    Leak("the close of the session being decided (shift by one bar)", BOTH, "ShiftByOne", ("bars",)),
    Leak("the open at which it is about to be filled", BOTH, "TodaysOpen", ("bars",)),
    Leak("prices normalised over the whole sample", BOTH, "WholeSample", ("bars",)),
    Leak("parameters fitted on all bars of the run, once", (CUT,), "FittedOnce", ("bars",)),
    Leak("weekly bars labelled by their first day", BOTH, "LabelLeft", ("bars",)),
    Leak("universe chosen by survival to the end", (CUT,), "Survivors", ("bars",)),
    Leak("suspensions known on their morning", (CUT,), "HaltsKnown", ("bars",)),
    Leak("the day's volume before the day", BOTH, "DayVolume", ("bars",)),
    Leak("prices adjusted for later splits", BOTH, "LaterSplits", ("actions",)),
    Leak("the FX of the next fix", BOTH, "NextFix", ("fx",)),
    Leak("a fill at the close on a signal stamped at that close", BOTH, "SameClose", ("signals",), "close"),
    Leak("a zone off by the venue's offset", BOTH, "ZoneOff", ("signals",), twin="SameCloseHonest"),
    Leak("news of a day taken as known at its midnight", BOTH, "DayAtMidnight", ("signals",), twin="SameCloseHonest"),
    Leak("scores normalised over the whole run", BOTH, "WholeRunScores", ("signals",)),
    Leak("novelty that looks at later stories", (CUT,), "LaterStories", ("signals",)),
    Leak("the engine's own arrays, taken from the frames that called", (SCRAMBLED,), "EngineFrames", ("bars",)),
    Leak("a set-wise form one decision ahead", ("set-wise",), "SetwiseShift"),
)
"""Found on data in memory, without a copy of the warehouse."""

AROUND = (
    Leak("cash kept for what will be listed later", ("warehouse scrambled",), "Awaited", ("universe",)),
    Leak("the wall clock", (CUT,), "WallClock", ("the clock",)),
    Leak("random numbers without a seed", BOTH, "Unseeded", ("nothing: it differs each time",)),
    Leak("memory shared across runs", (SCRAMBLED,), "Remembers", ("memory between runs",)),
    Leak("a cache file shared across runs", (*BOTH, "files"), "CacheFile", twin="RemembersHonest"),
    Leak("a plugin that reads the warehouse directly", ("files", *COPIES), "ReadsWarehouse", ("bars",), twin="TodaysOpenHonest"),
    Leak("parameters fitted at __init__ on a file beside the warehouse", ("files",), "FittedAtInit"),
    Leak("later prices in a Parquet file that Arrow opens", ("files",), "ParquetBeside", twin="WallClockHonest"),
)  # fmt: skip
"""Found by the whole audit, with copies, files, the clock and memory."""

IN_DATA = (
    Leak("backfilled news: known when published, though first seen weeks later", ("data: available early",)),
    Leak("day-stamped news known at midnight", ("data: day stamped",)),
    Leak("stamps in the zone of the venue read as UTC", ("data: zone",)),
    Leak("news seen before it was published", ("data: seen before published",)),
    Leak("a signal known before its headline",
         ("data: signal early", "data: signals rebuilt", "data: signals rebuilt as of then")),
    Leak("novelty in the warehouse that compares with later stories",
         ("data: signals rebuilt", "data: signals rebuilt as of then")),
    Leak("scores in the warehouse normalised over the whole run",
         ("data: signals rebuilt", "data: signals rebuilt as of then")),
    Leak("an FX fix known before it was made", ("data: fx early",)),
    Leak("bars that contain a later split and say that they do not", ("data: split in bars",)),
    Leak("bars revised by a later batch", ("data: bars revised",)),
    Leak("lots on prices from which later dividends are taken off", ("data: adjusted prices with lots",)),
    Leak("a model that was trained inside or after the run", ("data: model",)),
)  # fmt: skip
"""Found in the data."""


def page() -> str:
    """Return docs/leaks.md."""
    parts = [
        "# Planted leaks\n",
        (
            "Made from `tests/planted_leaks.py` by `python tests/planted_leaks.py`; do not edit by hand. A test plants "
            "each of\nthem, checks that exactly these checks of `chipwire audit` find it and name the cause, and that "
            "its honest twin\npasses.\n"
        ),
    ]
    groups = (("In strategies", IN_MEMORY), ("Around the run", AROUND), ("In the data", IN_DATA))
    for title, leaks in groups:
        parts.append(f"## {title}\n\n| leak | found by | cause named |\n|---|---|---|")
        parts += [f"| {leak.what} | {', '.join(leak.found_by)} | {', '.join(leak.sources)} |" for leak in leaks]
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    (Path(__file__).resolve().parents[1] / "docs" / "leaks.md").write_text(page(), encoding="utf-8")
