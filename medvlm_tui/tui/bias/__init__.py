"""The bias screen."""
