"""The look-ahead audit: does anything that a run asked for change when what came later is cut, or false?

Three nets, one behind the other. Data that becomes known as the clock goes on hides the future from every decision of
the run. Copies of the warehouse, cut and scrambled at some moments, hide it from the loading, from the engine and from
whatever reads the file itself. And what a strategy opens, remembers or reads off the clock is watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from chipwire.data.errors import NothingToDo, counted
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.market import Market
from chipwire.engine.validation.audit_cut import SOURCES, Cut, copy_warehouse
from chipwire.engine.validation.audit_files import files_opened
from chipwire.engine.validation.audit_jobs import Job, Outcome, Request, load_data, made, perform_all
from chipwire.engine.validation.audit_live import IN_MEMORY, How
from chipwire.engine.validation.audit_moments import Moments, choose_moments
from chipwire.engine.validation.audit_setwise import compare_setwise
from chipwire.engine.validation.audit_trace import Difference, Trace, differences
from chipwire.engine.validation.audit_watch import Watch

MOMENTS = 8
"""Moments at which the warehouse itself is cut."""
CLOCK_DAYS = 1_000
"""In one of the runs the clock is so far ahead."""


@dataclass(frozen=True)
class Leak:
    """Something that was asked for with knowledge of what came later.

    Attributes
    ----------
    check : str
        What found it, as `Check.name`.
    at : datetime or None
        The decision, UTC; None where it is none of a decision.
    instrument, what : str
        Whose ``target`` or ``order``; an ``error`` has no instrument.
    before, after : float, str or None
        On the true data, and with what came later cut or false.
    sources : tuple of str
        Which of them did it when hidden alone, in the first run of its check that differs; empty: only all together.
    more : int
        Targets and orders that differ besides.
    detail : str
        One line.
    """

    check: str
    detail: str
    at: datetime | None = None
    instrument: str = ""
    what: str = ""
    before: float | str | None = None
    after: float | str | None = None
    sources: tuple[str, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Check:
    """What one net came to: ``ok``, ``leak``, ``note`` (cannot be proven) or ``none`` (nothing to look at)."""

    name: str
    result: str
    detail: str


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes
    ----------
    decisions, targets, orders : int
        Of the run on the true data.
    """

    strategy: str
    decisions: int
    targets: int
    orders: int
    moments: Moments
    checks: tuple[Check, ...]
    leaks: tuple[Leak, ...]


def audit_strategy(
    request: Request,
    universe: Universe,
    *,
    moments: int = MOMENTS,
    seed: int = 0,
    isolated: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Audit a strategy; the warehouse is read and never changed.

    Parameters
    ----------
    moments : int
        At how many moments the warehouse is cut; every decision is looked at in any case.
    seed : int
        Of what is drawn: moments, and false values.
    isolated : bool
        Each run in a process of its own; without it caches between runs are found less surely.

    Raises
    ------
    NothingToDo, UnknownName, DomainError
        There is nothing to run on; see `load_market`.
    """
    with TemporaryDirectory(prefix="chipwire-audit-") as folder:
        plain = Path(folder) / request.real_path.name
        copy_warehouse(request.real_path, plain)
        return _Audit(request, universe, plain, seed, isolated, on_progress).run(moments)


class _Audit:
    def __init__(
        self,
        request: Request,
        universe: Universe,
        plain: Path,
        seed: int,
        isolated: bool,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._request, self._universe, self._plain = request, universe, plain
        self._seed, self._isolated, self._on_progress = seed, isolated, on_progress
        self._opened: dict[str, set[str]] = {}
        self._done = self._all = 0
        self._unrepeatable = False

    def run(self, count: int) -> AuditReport:
        data = load_data(self._request, Job("plan", self._plain), self._plain, self._universe)
        if self._request.model_id is not None and (data.book is None or not len(data.book)):
            span = f"{self._request.settings.start} to {self._request.settings.end}"
            raise NothingToDo(f"there are no signals that {span} could see", "build them with 'chipwire signals'")
        moments = choose_moments(data.market, data.book, self._day_stamped(), count, self._seed)
        jobs = [*self._live_jobs(), *self._cut_jobs(data.market, moments)]
        self._all = len(jobs)
        outcomes = {job.name: (job, outcome) for job, outcome in self._perform(jobs)}
        base = outcomes["base"][1].trace
        if base.error:
            check = Check("runs", "leak", base.error)
            return self._report(base, moments, [check], [Leak("runs", base.error, what="error")])
        asked = f"{counted(len(base.targets), 'target')} and {counted(len(base.orders), 'order')}"
        checks = [Check("runs", "ok", asked)]
        leaks: list[Leak] = []
        for name, (text, noun) in _NETS.items():
            found = [own for own in outcomes.values() if _net(own[0]) == name]
            own_leaks = self._leaks(name, base, found)
            tried = len(moments.decisions) if name.startswith("later rows") else len(found)
            result = "leak" if own_leaks else "ok" if found else "none"
            checks.append(Check(name, result, text.format(counted(tried, noun))))
            leaks += own_leaks
        for more in (
            compare_setwise(made(self._request, Watch()), data, base),
            files_opened(self._opened, self._request),
        ):
            checks += [Check(*row) for row in more[0]]
            leaks += [Leak(*row) for row in more[1]]
        return self._report(base, moments, checks, leaks)

    def _report(self, base: Trace, moments: Moments, checks: list[Check], leaks: list[Leak]) -> AuditReport:
        counts = len(moments.decisions), len(base.targets), len(base.orders)
        return AuditReport(self._request.strategy, *counts, moments, tuple(checks), tuple(leaks))

    def _day_stamped(self) -> frozenset[str]:
        with Warehouse.open(self._plain, command="chipwire audit") as warehouse:
            rows = warehouse.rows("SELECT headline_id FROM headline WHERE published_precision = 'day'")
        return frozenset(row[0] for row in rows)

    def _live_jobs(self) -> list[Job]:
        return [
            Job("base", self._plain),
            Job("later rows cut", self._plain, live="cut", clock_days=CLOCK_DAYS),
            Job("later rows scrambled", self._plain, live="scrambled", prelude=True),
        ]

    def _cut_jobs(self, market: Market, moments: Moments) -> list[Job]:
        """Cut at one moment, scramble at the next: a leak shows in either, and at more moments than in both."""
        ways: tuple[How, How] = ("cut", "scrambled")
        return [
            self._cut_job(f"warehouse {ways[number % 2]} {number}", market, moment, ways[number % 2], SOURCES)
            for number, moment in enumerate(moments.chosen)
        ]

    def _cut_job(self, name: str, market: Market, moment: datetime, how: How, sources: tuple[str, ...]) -> Job:
        settings = self._request.settings
        naive = moment.astimezone(UTC).replace(tzinfo=None)
        cut = Cut(naive, how, sources, settings.latency_minutes, settings.fill == "open", self._seed)
        return Job(name, self._plain, cut=cut, until=moment, symbols=market.symbols)

    def _perform(self, jobs: list[Job]) -> Iterable[tuple[Job, Outcome]]:
        for job, outcome in perform_all(self._request, jobs, isolated=self._isolated):
            for path, modes in outcome.opened.items():
                self._opened.setdefault(path, set()).update(modes)
            self._done += 1
            if self._on_progress:
                self._on_progress(min(self._done, self._all), self._all)
            yield job, outcome

    def _leaks(self, net: str, base: Trace, runs: list[tuple[Job, Outcome]]) -> list[Leak]:
        """Return the first thing that each run asked for otherwise; what did it is looked for in the first of them."""
        leaks: list[Leak] = []
        for job, outcome in sorted(runs, key=lambda run: run[0].name):
            found = differences(_until(base, job.until), outcome.trace, job.until)
            if not found:
                continue
            first = found[0]
            sources = leaks[0].sources if leaks else self._sources(base, job, first)
            where = "" if job.cut is None else f" at {job.cut.moment:%Y-%m-%d %H:%M} UTC"
            detail = f"{_told(first)}: with the {net}{where}; {_by(sources)}"
            leaks.append(Leak(net, detail, first.at, first.instrument, first.what, first.before, first.after, sources,
                              len(found) - 1))  # fmt: skip
        return leaks

    def _sources(self, base: Trace, job: Job, first: Difference) -> tuple[str, ...]:
        """Hide one source after the other, to the decision that changed, and return those that change it alone."""
        if self._unrepeatable:
            return _UNREPEATABLE
        jobs = [Job("again", job.warehouse), Job("the clock", job.warehouse, clock_days=CLOCK_DAYS)]
        if job.cut is not None:
            jobs = jobs[:1] + [
                replace(job, name=source, cut=replace(job.cut, sources=(source,))) for source in job.cut.sources
            ]
        else:
            jobs += [replace(job, name=one, sources=(one,), clock_days=0, prelude=False) for one in IN_MEMORY]
        jobs = [replace(each, until=each.until or first.at) for each in jobs]
        if job.prelude:  # the first of its two runs needs all the decisions
            jobs.append(Job("memory between runs", job.warehouse, prelude=True))
        self._all += len(jobs)
        guilty = []
        for each, outcome in self._perform(jobs):
            found = differences(_until(base, each.until), outcome.trace, each.until)
            if any(one.at <= first.at for one in found):
                guilty.append(each.name)
        self._unrepeatable = "again" in guilty
        return _UNREPEATABLE if self._unrepeatable else tuple(sorted(guilty))


_UNREPEATABLE = ("nothing: it differs each time",)
_NETS: Mapping[str, tuple[str, str]] = {
    "later rows cut": ("at each of {} nothing later was there", "decision"),
    "later rows scrambled": ("at each of {} all that came later was false", "decision"),
    "warehouse cut": ("a copy of the warehouse was cut at {}", "moment"),
    "warehouse scrambled": ("a copy of the warehouse was falsified after {}", "moment"),
}


def _net(job: Job) -> str:
    return job.name if job.cut is None else f"warehouse {job.cut.how}"


def _until(base: Trace, moment: datetime | None) -> Trace:
    """Return a trace up to a moment, without what ended it later."""
    if moment is None:
        return base
    targets, orders = (
        {key: value for key, value in part.items() if key[0] <= moment} for part in (base.targets, base.orders)
    )
    return Trace(targets, orders)


def _told(found: Difference) -> str:
    values = [f"no {found.what}" if value is None else value if isinstance(value, str) else f"{value:g}"
              for value in (found.before, found.after)]  # fmt: skip
    name = f"{found.what} of {found.instrument}" if found.instrument else found.what
    return f"{found.at:%Y-%m-%d %H:%M} UTC {name} {values[0]} becomes {values[1]}"


def _by(sources: tuple[str, ...]) -> str:
    return f"by {', '.join(sources)}" if sources else "by no source alone"
