"""Comparison of models: intervals of scores, pairs on one dataset, ranks over datasets."""
