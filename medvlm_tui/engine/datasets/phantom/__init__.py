"""The built-in SYNTHETIC dataset: drawing and writing its images."""
