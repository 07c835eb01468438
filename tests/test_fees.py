"""Expected charges follow from the published rates, worked by formula in each test."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from chipwire.data.errors import BadParameter, UnreadableInput
from chipwire.data.fees import FEE_COLUMNS, load_fees
from chipwire.engine import costs

TABLE = load_fees()


def charge(venue: str, kind: str, day: date, shares: float, price: float) -> tuple[float, float, float]:
    parts = costs.fees(TABLE.rates(venue, kind, day), shares, price)
    return float(parts.commission), float(parts.duty), float(parts.levies)


def near(*values: float) -> object:
    return pytest.approx(values, rel=1e-12, abs=1e-12)


# --- Hong Kong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "rate"),
    [
        (date(2021, 7, 31), 0.001),
        (date(2021, 8, 1), 0.0013),
        (date(2023, 11, 16), 0.0013),
        (date(2023, 11, 17), 0.001),
    ],
)
@pytest.mark.parametrize("shares", [500, -500])
def test_hong_kong_stamp_duty_by_date_rounded_up(day: date, rate: float, shares: int) -> None:
    value = 500 * 20.13  # 10,065: 10.065 or 13.0845 before rounding
    assert charge("XHKG", "stock", day, shares, 20.13)[1] == math.ceil(value * rate)


@pytest.mark.parametrize(("price", "expected"), [(20.0, 10), (20.02, 11), (246.0, 123)])
def test_hong_kong_stamp_duty_on_the_whole_dollar_stays(price: float, expected: int) -> None:
    # 500 x 246 x 0.1% is 123 and not 124, though the binary product is above it
    assert charge("XHKG", "stock", date(2024, 1, 2), 500, price)[1] == expected


def test_hong_kong_etfs_pay_no_stamp_duty() -> None:
    assert charge("XHKG", "etf", date(2024, 1, 2), 500, 20.0)[1] == 0.0


@pytest.mark.parametrize(
    ("day", "value", "levies"),
    [
        # trading fee + tariff + SFC + settlement
        (date(2021, 12, 31), 1e6, 50.0 + 0.5 + 27.0 + 20.0),
        # + AFRC since 2022
        (date(2022, 1, 1), 1e6, 50.0 + 0.5 + 27.0 + 1.5 + 20.0),
        # trading fee 0.00565%, no tariff
        (date(2023, 1, 1), 1e6, 56.5 + 27.0 + 1.5 + 20.0),
        # settlement at least 2
        (date(2024, 1, 2), 1e4, 0.565 + 0.27 + 0.015 + 2.0),
        # settlement at most 100
        (date(2025, 6, 29), 1e7, 565.0 + 270.0 + 15.0 + 100.0),
        # without bounds
        (date(2025, 6, 30), 1e7, 565.0 + 270.0 + 15.0 + 420.0),
        (date(2025, 6, 30), 1e4, 0.565 + 0.27 + 0.015 + 0.42),
    ],
)
def test_hong_kong_levies(day: date, value: float, levies: float) -> None:
    assert charge("XHKG", "stock", day, value / 20.0, 20.0)[2] == pytest.approx(levies, rel=1e-12)


def test_hong_kong_commission_at_least_3() -> None:
    assert charge("XHKG", "stock", date(2024, 1, 2), 100, 20.0)[0] == 3.0  # 0.60
    assert charge("XHKG", "stock", date(2024, 1, 2), 100, 200.0)[0] == pytest.approx(6.0)


# --- Shanghai --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "stamp", "transfer"),
    [
        (date(2022, 4, 28), 0.001, 0.00002),
        (date(2022, 4, 29), 0.001, 0.00001),
        (date(2023, 8, 27), 0.001, 0.00001),
        (date(2023, 8, 28), 0.0005, 0.00001),
    ],
)
def test_shanghai_by_date(day: date, stamp: float, transfer: float) -> None:
    value = 1000 * 50.0
    assert charge("XSHG", "stock", day, 1000, 50.0) == near(value * 0.00025, 0.0, value * transfer)
    assert charge("XSHG", "stock", day, -1000, 50.0) == near(value * 0.00025, value * stamp, value * transfer)
    assert charge("XSHG", "etf", day, -1000, 50.0) == near(value * 0.00025, 0.0, value * transfer)


def test_shanghai_commission_at_least_5() -> None:
    assert charge("XSHG", "stock", date(2024, 1, 2), 100, 10.0)[0] == 5.0


# --- New York --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "per_million"),
    [
        (date(2018, 1, 2), 23.10),
        (date(2018, 5, 21), 23.10),
        (date(2018, 5, 22), 13.00),
        (date(2019, 4, 16), 20.70),
        (date(2020, 2, 18), 22.10),
        (date(2021, 2, 24), 22.10),
        (date(2021, 2, 25), 5.10),
        (date(2022, 5, 14), 22.90),
        (date(2023, 2, 27), 8.00),
        (date(2024, 5, 21), 8.00),
        (date(2024, 5, 22), 27.80),
        (date(2025, 5, 13), 27.80),
        (date(2025, 5, 14), 0.00),
    ],
)
def test_sec_fee_by_date_on_sales_only(day: date, per_million: float) -> None:
    taf = {2018: 0.000119, 2019: 0.000119, 2020: 0.000119, 2021: 0.000119}.get(day.year, math.nan)
    taf = {2022: 0.00013, 2023: 0.000145, 2024: 0.000166, 2025: 0.000166}.get(day.year, taf)
    assert charge("XNYS", "stock", day, -1000, 1000.0) == near(0.0, 0.0, per_million + 1000 * taf)
    assert charge("XNYS", "stock", day, 1000, 1000.0) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("day", "most"), [(date(2025, 6, 2), 8.30), (date(2025, 12, 31), 8.30)])
def test_taf_has_a_cap(day: date, most: float) -> None:
    assert charge("XNYS", "stock", day, -49_000, 1.0)[2] == pytest.approx(49_000 * 0.000166)
    assert charge("XNYS", "stock", day, -60_000, 1.0)[2] == most


# --- the table -------------------------------------------------------------------------------------------


def test_no_shares_cost_nothing_whatever_the_price() -> None:
    parts = costs.fees(TABLE.rates("XHKG", "stock", date(2022, 1, 3)), [0, 0], [20.0, math.nan])
    assert parts.total.tolist() == [0.0, 0.0]


def test_an_unknown_price_gives_unknown_fees() -> None:
    assert math.isnan(costs.fees(TABLE.rates("XHKG", "stock", date(2022, 1, 3)), 100, math.nan).total)


@pytest.mark.parametrize("venue", ["XTAI", "XKRX", "XAMS"])
def test_a_venue_without_a_table_costs_nothing_and_says_so(venue: str) -> None:
    rates = TABLE.rates(venue, "stock", date(2024, 1, 2))
    assert not rates.covered
    assert costs.fees(rates, [100, -100], 50.0).total.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("venue", ["XSHG", "XHKG", "XNYS"])
def test_days_before_the_table_are_not_covered(venue: str) -> None:
    assert not TABLE.rates(venue, "stock", date(2008, 1, 2)).covered
    assert TABLE.rates(venue, "stock", date(2018, 1, 2)).covered


def test_every_row_names_its_source() -> None:
    assert all(row.source for row in TABLE.rows)


def test_an_index_is_not_traded() -> None:
    with pytest.raises(BadParameter, match="stock and etf"):
        TABLE.rates("XHKG", "index", date(2024, 1, 2))


def test_mixed_kinds_cost_what_each_costs_alone() -> None:
    day, kinds = date(2024, 1, 2), ("stock", "etf", "stock")
    shares, prices = np.array([-1000.0, -1000.0, 0.0]), np.array([50.0, 50.0, 50.0])
    together = costs.fees(TABLE.stacked("XSHG", kinds, day), shares, prices)
    for i, kind in enumerate(kinds):
        alone = costs.fees(TABLE.rates("XSHG", kind, day), shares[i], prices[i])
        assert (together.commission[i], together.duty[i], together.levies[i]) == (
            alone.commission,
            alone.duty,
            alone.levies,
        )


def test_scalars_and_arrays_cost_the_same_bit_for_bit() -> None:
    rates = TABLE.rates("XHKG", "stock", date(2022, 6, 1))
    shares = np.array([[100.0, -500.0, 0.0], [7.0, 1e7, -3.0]])
    prices = np.array([19.87, 0.45, 333.33])
    total = costs.fees(rates, shares, prices).total
    for i, j in np.ndindex(2, 3):
        assert costs.fees(rates, shares[i, j], prices[j]).total == total[i, j]


def write(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "own.csv"
    path.write_text("\n".join([",".join(FEE_COLUMNS), *rows]) + "\n")
    return path


def test_a_users_file_replaces_the_charges_it_names_and_adds_venues(tmp_path: Path) -> None:
    own = write(
        tmp_path,
        "XHKG,commission,both,all,value,0.001,10,,none,commission,2020-01-01,,own broker",
        "XTAI,commission,both,all,value,0.001425,20,,none,commission,2020-01-01,,own broker",
        "XTAI,tax,sell,stock,value,0.003,,,cent,duty,2020-01-01,,own note",
    )
    table = load_fees(own)
    day = date(2024, 1, 2)
    hong_kong = costs.fees(table.rates("XHKG", "stock", day), 100, 50.0)
    assert (hong_kong.commission, hong_kong.duty) == (10.0, 5.0)
    taipei = table.rates("XTAI", "stock", day)
    assert taipei.covered
    assert costs.fees(taipei, -1000, 1.015).duty == 3.05  # 3.045, half up
    assert not table.rates("XTAI", "stock", date(2019, 1, 2)).covered


def test_rounding_up_does_not_count_a_binary_remainder(tmp_path: Path) -> None:
    own = write(
        tmp_path,
        "XTAI,commission,both,all,value,0,,,none,commission,,,own broker",
        "XTAI,tax,both,all,value,0.07,,,whole_up,duty,,,own note",
    )
    rates = load_fees(own).rates("XTAI", "stock", date(2024, 1, 2))
    assert costs.fees(rates, [100, 101], 1.0).duty.tolist() == [7.0, 8.0]  # 0.07 x 100 is 7.000000000000001


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("XTAI,tax,short,stock,value,0.003,,,none,duty,,,x", "side 'short' is not allowed: one of"),
        ("XTAI,tax,sell,stock,value,free,,,none,duty,,,x", "rate 'free' is not allowed"),
        ("XTAI,tax,sell,stock,value,-1,,,none,duty,,,x", "at least 0"),
        ("XTAI,tax,sell,stock,value,nan,,,none,duty,,,x", "at least 0"),
        ("XTAI,tax,sell,stock,value,0.1,5,4,none,duty,,,x", "maximum '4' is not allowed"),
        ("XTAI,tax,sell,stock,value,0.1,,,up,duty,,,x", "rounding 'up'"),
        (",tax,sell,stock,value,0.1,,,none,duty,,,x", "venue '' is not allowed"),
        ("XTAI,tax,sell,stock,value,0.1,,,none,duty,,,x,y", "13 cells are needed"),
        ('XTAI,"tax,sell,stock,value,0.1,,,none,duty,,,x', "line"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(UnreadableInput, match=message):
        load_fees(write(tmp_path, row))


# --- a multiple of what is due ---------------------------------------------------------------------------


@pytest.mark.parametrize("multiple", [0.0, 0.5, 1.0, 4.0])
def test_a_multiple_comes_after_bounds_and_rounding(multiple):
    # Hong Kong in 2024, 500 at 20.05: stamp duty 0.1% of 10,025 is 10.025, up to 11; commission 0.03%, at least 3;
    # settlement fee 0.002% of it, at least 2.
    value = 500 * 20.05
    parts = costs.fees(TABLE.rates("XHKG", "stock", date(2024, 1, 3)), [500, -500, 0], 20.05, multiple)
    commission = max(0.0003 * value, 3.0)
    levies = (0.0000565 + 0.000027 + 0.0000015) * value + 2.0
    assert parts.commission == pytest.approx([multiple * commission] * 2 + [0.0], rel=1e-12)
    assert parts.duty.tolist() == [multiple * 11.0, multiple * 11.0, 0.0]
    assert parts.levies == pytest.approx([multiple * levies] * 2 + [0.0], rel=1e-12)


def test_each_configuration_has_its_own_multiple():
    rates = TABLE.stacked("XHKG", ("stock", "etf"), date(2024, 1, 3))
    multiples = np.array([[0.0], [1.0], [2.5]])
    together = costs.fees(rates, [500, -800], [20.05, 31.0], multiples)
    for lane, multiple in enumerate(multiples[:, 0]):
        alone = costs.fees(rates, [500, -800], [20.05, 31.0], float(multiple))
        assert together.total[lane].tolist() == alone.total.tolist()
