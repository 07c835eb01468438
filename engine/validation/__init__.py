"""Is it real, or luck? In come daily equity, orders and the count of all that was tried, out go probabilities,
intervals and splits of the time; never is a figure here computed from what a trader could not have known, and never
does anything here change a run.
"""
