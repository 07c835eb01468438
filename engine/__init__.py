"""Targets, bars and venue rules come in; fills, positions, equity and every unfilled order go out.

Rules live once, as pure functions of arrays and scalars (`chipwire.engine.rules`).
Nothing here invents a price, and nothing fills that the venue would have refused.
"""
