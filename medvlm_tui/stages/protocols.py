"""The protocols of the probe: how features may be classified, and the numbers that belong to each."""

from __future__ import annotations

# Those that fit a linear SVM to the training part, whose final classifier saliency and new images use.
LINEAR_PROTOCOLS = ("paper", "poster", "tuned", "grouped")
PROTOCOLS = (*LINEAR_PROTOCOLS, "knn", "few_shot")
PAPER_T_GRID = (1.0, 10.0, 100.0, 1000.0, 10000.0)
NEIGHBOR_COUNTS = (1, 5, 20)
SHOTS = (1, 2, 4, 8, 16)
"""Training images per class under `few_shot`."""
DRAWS = 10
SEPARATED = "no training error at any t of the grid"
SATURATED = f"saturated: {SEPARATED}, and no predicted label on validation or held-out images depends on t"
"""Meaning of the mark beside a t, wherever it is shown."""
