"""Real daily bars, FX and a timeline of events that ship with the package, and the scripts that made them.

Files come in when the package is built, rows go out through the same ingest commands that a user has.
"""
