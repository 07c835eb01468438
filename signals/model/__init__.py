"""The embedded model: weights, tokenizer and card; no code."""
