"""A stored run comes in; HTML, JSON, CSV and Parquet go out.

Each figure is computed once, in `chipwire.reports.metrics`, and every output shows that one.
Nothing here reaches the network, and no title reaches a page unescaped.
"""
