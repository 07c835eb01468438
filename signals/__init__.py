"""Headlines come in, mentions, scores and point-in-time signals go out, all as rows of the warehouse.

Scores are append-only: one per headline, issuer and model.
Nothing here sees a price, and no score is ever overwritten.
"""
