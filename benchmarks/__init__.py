"""Measurements of the whole program, each in a process of its own; run with ``python -m benchmarks``."""
