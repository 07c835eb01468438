"""Build ``bars.parquet`` and ``fx.csv`` from a folder of price files; the same input gives the same bytes.

    python -m chipwire.data.embedded.build_bars --prices DIR --out DIR

Every file of the folder that names an instrument of the universe is read over its whole length, checked as
``ingest prices`` does (the evidence for its adjustment may lie outside the span), and cut to the span.
Nothing is filled in: sessions that a source lacks are lacking here too.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.fx import fx_columns
from chipwire.data.price_evidence import LOT, find_adjustment, find_volume_unit, no_bars
from chipwire.data.price_files import PRICES, RawBars, read_prices
from chipwire.data.quality import check_bars
from chipwire.data.tables import Table, read_table, table_files
from chipwire.data.universe import load_universe

# A month of run-in before 2023, for what looks back.
FIRST, LAST = date(2022, 12, 1), date(2025, 9, 30)
_DECIMALS = range(2, 7)
# Single precision at the source leaves 79.949997 of 79.95.
_SAME = 1e-7


def build(prices: Path, out: Path) -> list[str]:
    """Write both files into `out` and return a line about each instrument.

    Parameters
    ----------
    prices : Path
        Folder of price files, one of them with FX columns.
    out : Path
        Folder to write to.

    Raises
    ------
    InputError
        A file cannot be used.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    universe = load_universe()
    files, errors = table_files([str(prices)])
    if errors:
        raise errors[0]
    parts, report = [], []
    for file in files:
        table = read_table(file)
        if fx_columns(table.names):
            (out / "fx.csv").write_text(_fx(table), encoding="utf-8")
            continue
        for bars in read_prices(table, universe).bars:
            part = _part(bars, Path(file).name)
            parts.append(part)
            report.append(f"{bars.instrument.symbol}: {part.num_rows} bars, {part['adjustment'][0]}")
    whole = pa.concat_tables(parts).sort_by([("instrument", "ascending"), ("session", "ascending")])
    pq.write_table(
        whole.replace_schema_metadata(None),
        out / "bars.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=True,
        row_group_size=whole.num_rows,
        store_schema=False,
    )
    return report


def _part(bars: RawBars, name: str) -> Any:
    """Return the checked bars of one instrument inside the span as an Arrow table."""
    import pyarrow as pa

    checked = check_bars(bars)
    whole = bars.taken(checked.keep, without_volume=checked.without_volume)
    adjustment = find_adjustment(whole, no_bars()).value
    lot = LOT if find_volume_unit(whole, no_bars(), file=name).value == "lots" else 1
    inside = (whole.session >= np.datetime64(FIRST)) & (whole.session <= np.datetime64(LAST))
    kept = whole.taken(np.flatnonzero(inside))
    nothing = pa.nulls(len(kept))
    adj_close = nothing if kept.adj_close is None else pa.array(_short(kept.adj_close))
    volume = nothing if kept.volume is None else pa.array(np.round(kept.volume * lot))
    return pa.table(
        {
            "instrument": pa.array([bars.instrument.symbol] * len(kept), pa.string()),
            "session": pa.array(kept.session, pa.date32()),
            **{name: pa.array(_short(kept.prices[:, c])) for c, name in enumerate(PRICES)},
            "adj_close": adj_close.cast(pa.float64()),
            "volume": volume.cast(pa.int64()),
            "adjustment": pa.array([adjustment] * len(kept), pa.string()),
        }
    )


def _short(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each value with the fewest decimals that say the same."""
    found = np.round(values, _DECIMALS[-1])
    for decimals in reversed(_DECIMALS):
        shorter = np.round(values, decimals)
        found = np.where(np.abs(shorter - values) <= _SAME * np.abs(values), shorter, found)
    return found


def _fx(table: Table) -> str:
    """Return the rows of the span as they stand."""
    kept = [row for row in zip(*table.columns, strict=True) if FIRST.isoformat() <= str(row[0]) <= LAST.isoformat()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.names)
    writer.writerows(kept)
    return text.getvalue()


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="build the embedded bars and FX rates")
    parser.add_argument("--prices", type=Path, required=True, help="folder of price files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    arguments = parser.parse_args()
    sys.stdout.write("\n".join(build(arguments.prices, arguments.out)) + "\n")


if __name__ == "__main__":
    main()
