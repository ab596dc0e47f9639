"""Datasets: found on disk, read by layout, checked, split."""
