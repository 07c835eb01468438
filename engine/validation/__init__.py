"""Whether a result is real, luck, or tomorrow's news.

In: a strategy, a warehouse, a run. Out: findings. Nothing here changes the warehouse or what a run comes to.
"""
