"""Figures: the only part of the report that imports matplotlib; imported when a figure is drawn."""
