"""Whether a result is real: look-ahead, luck, placebo, fragility, and worlds in which the truth is known.

Comes in: markets, signals, strategies and the equity of runs. Goes out: verdicts with their uncertainty. Nothing here
changes a run or a signal.
"""
