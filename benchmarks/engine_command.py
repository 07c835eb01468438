"""Makes files of the engine's made-up market for the whole command on workload B: bars, rates, targets.

``python -m benchmarks.engine_command FOLDER``
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine_market import SESSIONS, make_market, make_weights
from chipwire.engine.market import Market


def main() -> None:
    """Write ``bars.csv``, ``rates.csv`` and ``targets.csv``."""
    folder, market = Path(sys.argv[1]), make_market(SESSIONS)
    bars = []
    for place in market.venues:
        for column, instrument in enumerate(place.instruments):
            fields = (place.open, place.high, place.low, place.close, place.volume)
            rows = np.column_stack([each[:, column] for each in fields]).tolist()
            bars += [(instrument.symbol, day, *row) for day, row in zip(place.session, rows, strict=True)]
    write(folder / "bars.csv", ("symbol", "date", "open", "high", "low", "close", "volume"), bars)
    days = market.fx.at["CNY"].astype("datetime64[D]")
    rates = zip(days, market.fx.rate["CNY"].tolist(), market.fx.rate["HKD"].tolist(), strict=True)
    write(folder / "rates.csv", ("date", "USDCNY", "USDHKD"), rates)
    write(folder / "targets.csv", ("date", "instrument", "weight"), targets(market))


def targets(market: Market) -> Iterable[Sequence[Any]]:
    """Yield the weights of workload B, every session decided."""
    weights = make_weights(market, 1, gross=0.5)
    for place in market.venues:
        for row, day in enumerate(place.session):
            for instrument, weight in zip(place.instruments, weights[place.mic][0, row].tolist(), strict=True):
                yield day, instrument.symbol, weight


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a csv file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
