"""The map screen."""
