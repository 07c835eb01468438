"""A point-in-time view comes in at each decision, target weights go out.

One class is the whole contract (`chipwire.strategies.base.Strategy`).
Nothing here opens the warehouse, reads a file that the user did not name, or knows what happens next.
"""
