"""Is it real, or luck? Daily equity and the count of all that was tried come in, probabilities and intervals go out.

Nothing here changes a run, and nothing here is told what a trader could not have known.
"""
