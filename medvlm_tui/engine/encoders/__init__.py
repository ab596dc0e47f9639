"""Encoders: names to specs, specs to weights, weights to networks."""
