"""Extraction: images to sealed feature tables, on one device or several."""
