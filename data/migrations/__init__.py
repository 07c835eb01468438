"""Numbered SQL migrations of the warehouse, applied in order and recorded in the file by name and digest."""
