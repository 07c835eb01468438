"""The profit of a run, divided: two trades worked by hand, and tables that add up to the cent in random runs."""

from __future__ import annotations

import json
from datetime import date

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest

from chipwire.reports.attribution import AMOUNTS, TABLES, Attribution, attribute
from chipwire.reports.collect import collect

warehouse, world, settings, Reader = worlds.warehouse, worlds.world, worlds.settings, worlds.Reader

DAYS = [date(2024, 7, 1), date(2024, 7, 2), date(2024, 7, 3)]
ISSUERS = {"NVDA": "NVIDIA", "0981.HK": "SMIC", "510300.SS": None}
CAPITAL = 50_000.0
NOBODY = pd.DataFrame({name: [] for name in ("fill_no", "theme", "event", "via", "size")})


def _fill(number, day, instrument, shares, price, auction_price, fx=1.0, commission=0.0, auction="open", realized=0.0):
    at = pd.Timestamp(DAYS[day]) + pd.Timedelta(hours=14)
    venue, currency = ("XNYS", "USD") if instrument == "NVDA" else ("XHKG", "HKD")
    return {
        "fill_no": number, "auction_at": at, "session": DAYS[day], "venue": venue, "auction": auction,
        "instrument": instrument, "shares": shares, "price": price, "auction_price": auction_price,
        "currency": currency, "fx": fx, "commission": commission, "duty": 0.0, "levies": 0.0, "realized": realized,
    }  # fmt: skip


def _position(day, instrument, shares, price, fx=1.0):
    return {"day": DAYS[day], "instrument": instrument, "shares": shares, "price": price, "fx": fx}


def _equity(final, cash=(0.0, 0.0, 0.0), dividends=0.0, borrow=0.0):
    return pd.DataFrame(
        {
            "day": DAYS, "equity": [CAPITAL, CAPITAL, CAPITAL + final], "cash": cash,
            "dividends": [0.0, dividends, 0.0], "borrow": [0.0, 0.0, borrow],
        }
    )  # fmt: skip


def _lines(found: Attribution, by):
    table = found.table[found.table["by"] == by]
    return {row["line"]: [row[name] for name in (*AMOUNTS, "total")] for row in table.to_dict("records")}


def test_two_trades_by_hand():
    # NVDA: 100 bought at the auction's 100 (paid 101), 50 more at 104, all sold at 110. 0981.HK: 1,000 sold short at
    # HKD 20 with 0.125, worth HKD 21 with 0.13 at the end, and still open.
    fills = pd.DataFrame(
        [
            _fill(1, 0, "NVDA", 100, 101.0, 100.0, commission=2.0),
            _fill(2, 0, "0981.HK", -1000, 20.0, 20.0, fx=0.125),
            _fill(3, 1, "NVDA", 50, 104.0, 104.0),
            _fill(4, 2, "NVDA", -150, 110.0, 110.0, commission=3.0, realized=1.0),
        ]
    )
    positions = pd.DataFrame(
        [
            _position(0, "NVDA", 100, 103.0), _position(1, "NVDA", 150, 106.0),
            _position(0, "0981.HK", -1000, 20.0, 0.125), _position(1, "0981.HK", -1000, 22.0, 0.125),
            _position(2, "0981.HK", -1000, 21.0, 0.13),
        ]
    )  # fmt: skip
    causes = pd.DataFrame(
        [
            (1, "sanctions", "chip_sale_ban", "direct", 0.6),
            (1, "ai_models", "no event recognised", "exposure", 0.2),
            (3, "localization", "procurement", "direct", 0.5),
            (4, "sanctions", "relaxation", "direct", 0.9),  # a sale: it changes nothing
        ],
        columns=list(NOBODY),
    )
    # HKD: (20 → 22) × 0.125, then (22 → 21) × 0.13 in price, and 22 × (0.13 − 0.125) in FX, of −1,000 shares.
    short_price, short_fx = -1000 * (2 * 0.125 - 1 * 0.13), -1000 * 22 * 0.005
    assert short_price + short_fx == pytest.approx(-1000 * (21 * 0.13 - 20 * 0.125))
    profit = 400 + 900 - 102 - 3 + short_price + short_fx - 4.0 - 1.5
    found = attribute(_equity(profit, dividends=-4.0, borrow=1.5), fills, positions, causes, ISSUERS, CAPITAL)

    # While 100 are held 400 are made, of which three quarters are the ban's; then 900 by 150, a third localization's.
    none = {"no headline behind it": [-120.0, -110.0, 0.0, 0.0, -230.0]}
    account = {"dividends": [0.0, 0.0, 0.0, -4.0, -4.0], "borrow cost": [0.0, 0.0, 0.0, -1.5, -1.5]}
    ban = [300 + 450, 0.0, -(0.75 * 102 + 0.5 * 3), 0.0, 750 - 78.0]
    order = [300.0, 0.0, -1.0, 0.0, 299.0]
    shock = [100 + 150, 0.0, -(0.25 * 102 + 3 / 6), 0.0, 250 - 26.0]
    assert _lines(found, "theme") == {"sanctions": ban, "localization": order, "ai_models": shock, **none, **account}
    assert _lines(found, "event") == {
        "chip_sale_ban": ban, "procurement": order, "no event recognised": shock, **none, **account,
    }  # fmt: skip
    both = [a + b for a, b in zip(ban, order, strict=True)]
    assert _lines(found, "via") == {"direct": both, "exposure": shock, **none, **account}
    nvidia, smic = [1300.0, 0.0, -105.0, 0.0, 1195.0], none["no headline behind it"]
    assert _lines(found, "issuer") == {"NVIDIA": nvidia, "SMIC": smic, **account}
    assert _lines(found, "venue") == {"XNYS": nvidia, "XHKG": smic, **account}
    assert _lines(found, "currency") == {"USD": nvidia, "HKD": smic, **account}
    assert _lines(found, "side") == {"long": nvidia, "short": smic, **account}
    assert list(_lines(found, "theme")) == [
        "sanctions", "localization", "ai_models", "no headline behind it", "dividends", "borrow cost",
    ]  # fmt: skip
    assert found.trips.to_dict("records") == [
        {"instrument": "0981.HK", "side": "short", "first_fill": 2, "profit": pytest.approx(-230.0)},
        {"instrument": "NVDA", "side": "long", "first_fill": 1, "profit": pytest.approx(1195.0)},
    ]


def test_a_fill_that_turns_a_position_ends_one_and_begins_another():
    # 100 long at 10, then 300 sold at 12 for a fee of 6: a third of it closes. The 200 short fall to 11.
    fills = pd.DataFrame(
        [_fill(1, 0, "NVDA", 100, 10.0, 10.0), _fill(2, 1, "NVDA", -300, 12.0, 12.0, commission=6.0, realized=198.0)]
    )
    positions = pd.DataFrame(
        [_position(0, "NVDA", 100, 11.0), _position(1, "NVDA", -200, 12.0), _position(2, "NVDA", -200, 11.0)]
    )
    causes = pd.DataFrame(
        [
            (1, "sanctions", "x", "direct", 0.0),
            (1, "no theme", "x", "direct", 0.0),
            (2, "ai_models", "y", "exposure", -0.3),
        ],
        columns=list(NOBODY),
    ).assign(size=lambda frame: frame["size"].abs())
    found = attribute(_equity(200 - 2 + 200 - 4), fills, positions, causes, ISSUERS, CAPITAL)
    assert _lines(found, "side") == {"long": [200, 0, -2, 0, 198], "short": [200, 0, -4, 0, 196]}
    # Signals without any strength count the same.
    assert _lines(found, "theme") == {
        "sanctions": [100, 0, -1, 0, 99], "no theme": [100, 0, -1, 0, 99], "ai_models": [200, 0, -4, 0, 196],
    }  # fmt: skip
    assert found.trips["profit"].tolist() == [pytest.approx(198.0), pytest.approx(196.0)]


def test_a_split_makes_nothing_and_its_broken_share_is_paid_out():
    # 3 shares at 100 become 4.5 at 66.67: 4, and half a share paid out. At 70 the 4 have gained what they are worth.
    fills = pd.DataFrame(
        [
            _fill(1, 0, "NVDA", 3, 100.0, 100.0),
            _fill(2, 1, "NVDA", 1, 0.0, 0.0, auction="action", realized=0.01),
        ]
    )
    positions = pd.DataFrame(
        [_position(0, "NVDA", 3, 100.0), _position(1, "NVDA", 4, 200 / 3), _position(2, "NVDA", 4, 70.0)]
    )
    cash = (CAPITAL - 300, CAPITAL - 300 + 100 / 3, CAPITAL - 300 + 100 / 3)
    found = attribute(_equity(cash[2] + 280 - CAPITAL, cash), fills, positions, NOBODY, ISSUERS, CAPITAL)
    assert _lines(found, "side") == {"long": [13.33, 0, 0, 0, 13.33]}


def test_what_does_not_follow_from_the_fills_is_said():
    fills = pd.DataFrame([_fill(1, 0, "NVDA", 1, 10.0, 10.0), _fill(2, 1, "NVDA", -1, 11.0, 11.0)])
    found = attribute(_equity(1.5), fills, pd.DataFrame([_position(0, "NVDA", 1, 10.0)]), NOBODY, {}, CAPITAL)
    assert _lines(found, "issuer") == {"NVDA": [1, 0, 0, 0, 1], "not explained": [0, 0, 0, 0.5, 0.5]}


def test_a_run_without_a_trade_has_no_lines():
    positions = pd.DataFrame([_position(0, "NVDA", 1, 10.0)])[:0]
    found = attribute(
        _equity(0.0), pd.DataFrame([_fill(1, 0, "NVDA", 1, 1.0, 1.0)])[:0], positions, NOBODY, {}, CAPITAL
    )
    assert found.table.empty
    assert found.trips.empty


def test_thirds_add_up_to_the_cent():
    fills = pd.DataFrame([_fill(1, 0, "NVDA", 1, 10.0, 10.0), _fill(2, 1, "NVDA", -1, 11.0, 11.0)])
    causes = pd.DataFrame([(1, name, "x", "direct", 1.0) for name in "abc"], columns=list(NOBODY))
    found = attribute(_equity(1.0), fills, pd.DataFrame([_position(0, "NVDA", 1, 10.0)]), causes, {}, CAPITAL)
    assert sorted(line[-1] for line in _lines(found, "theme").values()) == [0.33, 0.33, 0.34]


# --- random runs -----------------------------------------------------------------------------------------


def _with_news(world, seed, start, end):
    rng = np.random.default_rng(seed)
    dates = pd.date_range(start, end, freq="37h")
    themes, events = ("ai_models", "localization", "sanctions", "none"), ("chip_sale_ban", "capex", None)
    issuers = [worlds.UNIVERSE.instrument(symbol).issuer for symbol in worlds.ROUGH]
    rows = [
        {
            "issuer": str(rng.choice([name for name in issuers if name])), "at": str(at), "headline": f"h{number}",
            "value": float(rng.uniform(-1, 1)), "theme": str(rng.choice(themes)),
        }
        for number, at in enumerate(dates)
    ]  # fmt: skip
    world.model().signals(rows)
    readings = pd.DataFrame(
        {"headline_id": [f"h{n}" for n in range(len(rows))], "model_id": worlds.MODEL, "batch_id": 1}
    )
    world.warehouse.insert("reading", readings.assign(event=rng.choice(np.array(events, dtype=object), len(rows))))
    world.warehouse.run("UPDATE score SET via = 'exposure' WHERE hash(headline_id) % 3 = 0")


def _reads(make):
    plan = make().plan

    def read(view):
        view.signals()
        return plan(view)

    return Reader(read)


def _by_cash(report):
    """Return what each issuer's shares brought, cash in less cash out, and those of them that no split touched."""
    fills, held = report.fills, report.holdings
    names = {symbol: worlds.UNIVERSE.instrument(symbol).issuer or symbol for symbol in worlds.ROUGH}
    fees = fills["commission"] + fills["duty"] + fills["levies"]
    cash = -(fills["shares"] * fills["price"] + fees) * fills["fx"]
    made = cash.groupby(fills["instrument"].map(names)).sum()
    made = made.add(held["value"].groupby(held["instrument"].map(names)).sum(), fill_value=0.0)
    touched = {names[symbol] for symbol in fills.loc[fills["auction"] == "action", "instrument"]}
    return made, sorted(set(made.index) - touched)


@pytest.mark.parametrize(
    ("seed", "fill", "engine", "low", "currency"),
    [
        (1, "open", "columnar", -0.6, "USD"), (2, "close", "columnar", -1.0, "HKD"), (3, "open", "columnar", 0.0, "CNY"),
        (4, "close", "columnar", -0.6, "USD"), (5, "open", "columnar", -0.6, "CNY"), (6, "open", "backtrader", -0.6, "USD"),
    ],
)  # fmt: skip
def test_every_table_of_a_random_run_adds_up_to_the_cent(world, seed, fill, engine, low, currency):
    start, end = "2024-01-02", "2024-04-30"
    worlds.rough_world(world, seed)
    _with_news(world, seed, "2023-12-20", end)
    given = settings(
        start, end, fill=fill, instruments=tuple(worlds.ROUGH), currency=currency, slippage_bps=20.0, participation=0.1
    )
    world.run(_reads(worlds.random_weights(seed, low, 0.2)), given, engine=engine)
    report = collect(world.warehouse, "latest")
    assert report.metrics.n_fills > 60
    assert not report.holdings.empty
    profit = report.metrics.final_equity - report.metrics.capital
    assert list(dict.fromkeys(report.attribution["by"])) == list(TABLES)
    for by in TABLES:
        table = report.attribution[report.attribution["by"] == by]
        assert "not explained" not in set(table["line"])
        assert round(table["total"].sum(), 2) == round(profit, 2)
        # Each row is the sum of its cells to the cent, and costs are what the books say.
        assert table[list(AMOUNTS)].sum(axis=1).tolist() == pytest.approx(table["total"].tolist(), abs=1e-6)
        paid = report.metrics.costs["total"] - report.metrics.costs["borrow"]
        assert table["costs"].sum() == pytest.approx(-paid, abs=0.011)
        assert table["other"].sum() == pytest.approx(
            report.metrics.dividends - report.metrics.costs["borrow"], abs=0.011
        )
    lines = report.attribution.groupby("by")["line"].agg(set)
    assert lines["via"] >= {"direct", "exposure", "no headline behind it"}
    assert lines["theme"] >= {"ai_models", "localization", "sanctions", "no theme"}
    assert lines["event"] >= {"capex", "chip_sale_ban", "no event recognised"}
    made, without_split = _by_cash(report)
    issuers = report.attribution[report.attribution["by"] == "issuer"].set_index("line")["total"]
    assert issuers[without_split].tolist() == pytest.approx([made[name] for name in without_split], abs=0.05)
    if low < 0:
        assert lines["side"] >= {"long", "short"}
    json.dumps(report.attribution.to_dict("records"), allow_nan=False)
