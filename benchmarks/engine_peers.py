"""Run by the peers' own Python, without chipwire: the same prices and targets in vectorbt or plain backtrader.

``python engine_peers.py PEER FILE.npz``: prints seconds, peak memory and total returns as JSON.
"""

import json
import resource
import sys
import time

import numpy as np


def vectorbt(data):
    """Return a call that simulates all configurations and takes return, Sharpe ratio and drawdown."""
    import pandas as pd
    import vectorbt as vbt

    weights = data["weights"]
    configurations, sessions, count = weights.shape
    index = pd.date_range("2018-01-01", periods=sessions, freq="D")
    columns = pd.MultiIndex.from_product([range(configurations), range(count)], names=["configuration", "instrument"])

    def wide(prices):
        return pd.DataFrame(np.tile(prices, configurations), index=index, columns=columns)

    # Sized by the close before, filled at the open, as chipwire decides before the auction.
    known = np.vstack([data["close"][:1] * np.nan, data["close"][:-1]])
    size = weights.transpose(1, 0, 2).reshape(sessions, -1).copy()
    size[0] = np.nan
    close, price, val_price = wide(data["close"]), wide(data["open"]), wide(known)
    size = pd.DataFrame(size, index=index, columns=columns)

    def run():
        portfolio = vbt.Portfolio.from_orders(
            close, size, size_type="targetpercent", price=price, val_price=val_price, init_cash=float(data["capital"]),
            cash_sharing=True, group_by="configuration", call_seq="auto", freq="D",
        )  # fmt: skip
        returns = portfolio.total_return()
        portfolio.sharpe_ratio()
        portfolio.max_drawdown()
        return returns.to_numpy().tolist()

    return run


def backtrader(data):
    """Return a call that runs the first configuration on backtrader's own broker."""
    import backtrader as bt
    import pandas as pd

    weights, capital = data["weights"][0], float(data["capital"])
    index = pd.date_range("2018-01-01", periods=len(weights), freq="D")

    class Plain(bt.Strategy):
        def next(self):
            row = len(self)
            if row >= len(weights) or np.isnan(weights[row, 0]):
                return
            equity = self.broker.getvalue()
            for column, feed in enumerate(self.datas):
                wanted = int(weights[row, column] * equity / feed.close[0] + 1e-9)
                change = wanted - self.getposition(feed).size
                if change > 0:
                    self.buy(data=feed, size=change)
                elif change < 0:
                    self.sell(data=feed, size=-change)

    def run():
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.broker.set_checksubmit(False)
        cerebro.broker.setcash(capital)
        for column in range(weights.shape[1]):
            opens, closes = data["open"][:, column], data["close"][:, column]
            frame = pd.DataFrame(
                {"open": opens, "high": np.maximum(opens, closes), "low": np.minimum(opens, closes), "close": closes,
                 "volume": 1e15},
                index=index,
            )  # fmt: skip
            cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(Plain)
        cerebro.run()
        return [cerebro.broker.getvalue() / capital - 1.0]

    return run


def main():
    """Run three times and print the better of the last two, as chipwire is measured."""
    data = dict(np.load(sys.argv[2]))
    run = {"vectorbt": vectorbt, "backtrader": backtrader}[sys.argv[1]](data)
    measured, peaks = [], []
    for _ in range(3):
        started = time.perf_counter(), time.process_time()
        returns = run()
        measured.append((time.perf_counter() - started[0], time.process_time() - started[1]))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    seconds, cpu_seconds = min(measured[1:])
    peak_mb = peaks[1]  # of the first warm run: what a third adds on top is no part of the workload
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak_mb, "total_return": returns}))


if __name__ == "__main__":
    main()
