"""Sources of targets for the columnar engine: arrays made beforehand, or strategies asked decision by decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from chipwire.data.errors import BadParameter
from chipwire.engine.account import utc
from chipwire.engine.asking import Asker
from chipwire.engine.columnar_ports import LedgerState, Weights
from chipwire.engine.market import Market
from chipwire.engine.settings import Settings
from chipwire.engine.timeline import Step
from chipwire.engine.view import Cause, PointInTimeView, SignalBook
from chipwire.strategies.base import Strategy


class PanelTargets:
    """Weights of every decision, made beforehand.

    Parameters
    ----------
    market : Market
    weights : mapping
        By MIC an array (configurations, sessions of the run, instruments); NaN: no order, 0: exit. A venue left out
        never trades. Quickest where configurations lie side by side in memory (see `arrange`).
    name : str
        For messages.

    Raises
    ------
    BadParameter
        A shape does not fit the market, or a venue is not in it.
    """

    def __init__(self, market: Market, weights: Mapping[str, Weights], name: str = "targets") -> None:
        self.name = name
        self.needs_fills = self.tells_causes = False
        known = {venue.mic: venue for venue in market.venues}
        for mic in weights:
            if mic not in known:
                raise BadParameter("targets", mic, f"venues of the run: {', '.join(known)}")
        counts = {array.shape[0] for array in weights.values()}
        if len(counts) > 1:
            raise BadParameter("targets", sorted(counts), "the same number of configurations for every venue")
        self.configurations = counts.pop() if counts else 1
        self._first = [venue.first for venue in market.venues]
        self._weights: list[Weights | None] = []
        self._asks: list[list[bool]] = []
        for venue in market.venues:
            array = weights.get(venue.mic)
            shape = (self.configurations, len(venue.session) - venue.first, len(venue.instruments))
            if array is not None and array.shape != shape:
                raise BadParameter(f"targets of {venue.mic}", array.shape, f"shape {shape}")
            self._weights.append(array)
            self._asks.append([] if array is None else _asks(array))

    def at(self, step: Step, moment: np.datetime64, state: LedgerState) -> Weights | None:
        """See `TargetSource`; None where no configuration has a weight."""
        array, row = self._weights[step.venue], step.session - self._first[step.venue]
        return array[:, row] if array is not None and self._asks[step.venue][row] else None

    def causes(self, configuration: int, instrument: str) -> Sequence[Cause]:
        """Return nothing: arrays do not say where they come from."""
        return ()


class DecideTargets:
    """Strategies asked decision by decision, one instance for each configuration, as the event engine asks them.

    Parameters
    ----------
    market : Market
    strategies : sequence of Strategy
        One instance for each configuration; an instance keeps its own state.
    settings : Settings or sequence of Settings
        For the leverage that the weights are checked against.
    book : SignalBook, None, or sequence of SignalBook
        None for strategies that read no signals; a sequence has one for each configuration.
    issuers : mapping
        Issuer of every instrument.
    """

    def __init__(
        self,
        market: Market,
        strategies: Sequence[Strategy],
        settings: Settings | Sequence[Settings],
        book: SignalBook | Sequence[SignalBook] | None,
        issuers: Mapping[str, str | None],
    ) -> None:
        each = [settings] * len(strategies) if isinstance(settings, Settings) else settings
        self.name = strategies[0].name
        self.configurations = len(strategies)
        self.tells_causes = True
        self.needs_fills = any(type(strategy).on_fill is not Strategy.on_fill for strategy in strategies)
        self._market, self._issuers = market, issuers
        self._books: Sequence[SignalBook | None] = (
            [book] * len(strategies) if book is None or isinstance(book, SignalBook) else book
        )
        self._askers = [Asker(own, given.leverage) for own, given in zip(strategies, each, strict=True)]
        self._told = [0] * len(strategies)
        self._since: dict[int, datetime] = {}
        self._views: list[PointInTimeView] = []
        self._symbols = [tuple(instrument.symbol for instrument in venue.instruments) for venue in market.venues]

    def at(self, step: Step, moment: np.datetime64, state: LedgerState) -> Weights | None:
        """See `TargetSource`; None where no configuration wants anything."""
        place, symbols = self._market.venues[step.venue], self._symbols[step.venue]
        now, equity = utc(moment), state.equity()
        held = [state.shares(venue) for venue in range(len(self._market.venues))]
        known = [state.prices(venue).tolist() for venue in range(len(self._market.venues))]
        last_prices = dict(zip(self._market.symbols, (price for prices in known for price in prices), strict=True))
        universe = tuple(name for name, price in last_prices.items() if not math.isnan(price))
        listed = tuple(name for name in symbols if not math.isnan(last_prices[name]))
        awaited = tuple(name for name in symbols if math.isnan(last_prices[name]))
        weights = np.full((self.configurations, len(symbols)), np.nan)
        self._views = []
        for lane, asker in enumerate(self._askers):
            view = PointInTimeView(
                now=now,
                since=self._since.get(step.venue),
                venue=place.mic,
                session=place.session[step.session].item(),
                instruments=listed,
                universe=universe,
                awaited=awaited,
                positions={
                    symbol: int(shares)
                    for names, holding in zip(self._symbols, held, strict=True)
                    for symbol, shares in zip(names, holding[lane].tolist(), strict=True)
                    if shares
                },
                equity=float(equity[lane]),
                _market=self._market,
                _book=self._books[lane],
                _issuers=self._issuers,
                _last_prices=last_prices,
            )
            fills = state.fills(lane) if self.needs_fills else ()
            for symbol, weight in asker.ask(view, fills[self._told[lane] :]).items():
                weights[lane, symbols.index(symbol)] = weight
            self._told[lane] = len(fills)
            self._views.append(view)
        self._since[step.venue] = now
        return None if np.isnan(weights).all() else weights

    def causes(self, configuration: int, instrument: str) -> Sequence[Cause]:
        """See `TargetSource`."""
        return self._views[configuration].causes(instrument)


def _asks(array: Weights) -> list[bool]:
    """Return for each session whether any weight is given; the first configuration mostly tells."""
    asks = ~np.isnan(array[0]).all(axis=-1)
    for row in np.flatnonzero(~asks) if len(array) > 1 else ():
        asks[row] = not np.isnan(array[:, row]).all()
    found: list[bool] = asks.tolist()
    return found


def arrange(weights: Weights) -> Weights:
    """Return the same array with configurations side by side in memory, the order in which the ledger reads."""
    return np.ascontiguousarray(np.moveaxis(weights, 0, -1)).transpose(2, 0, 1)
