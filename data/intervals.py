"""Names of bars finer than a day; a module of its own, because settings need them where nothing heavy is loaded."""

INTERVALS = {"1m": 1, "2m": 2, "5m": 5, "10m": 10, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240}
"""Minutes of a bar finer than a day, by its name."""
