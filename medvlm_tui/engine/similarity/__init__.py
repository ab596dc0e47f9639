"""Similarity of two models' feature spaces."""
