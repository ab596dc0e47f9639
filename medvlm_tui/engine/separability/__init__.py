"""Separability of the classes in the full feature space."""
