"""Files and feeds come in, rows of the warehouse go out: headlines, bars, FX rates, corporate actions, universe.

Every row that cannot be used is counted and kept in ``reject`` with file, line and reason.
Nothing here scores a headline, decides a trade or looks at the wall clock.
"""
