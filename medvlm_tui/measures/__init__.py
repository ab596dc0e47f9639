"""Measures and tests as pure functions of arrays (numpy and scipy only), for the engine, the report and the screens."""

CALIBRATION = ("ece", "ece_calibrated", "ece_debiased", "brier", "brier_calibrated")
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "f1_positive", "auroc", *CALIBRATION)
"""Metrics of a classifier, in the order of tables."""
