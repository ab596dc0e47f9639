"""The data screen."""
