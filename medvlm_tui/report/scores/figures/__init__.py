"""Figures of the probe: confusion, per class, learning curve, calibration."""
