"""The store: a write-once journal of blocks and results, and sealed feature tables."""
