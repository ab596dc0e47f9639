"""A fitted classifier on features: standardisation, then one-vs-rest linear decision values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.store.store import Stored
from medvlm_tui.measures.calibration import Platt
from medvlm_tui.stages.records.probe import ProbeRecord

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scaler:
    """Zero mean and unit variance for each dimension, as scikit-learn's StandardScaler."""

    mean: Floats
    """(d,)"""
    scale: Floats
    """(d,) standard deviation with ddof 0; 1 for a dimension that is constant up to rounding."""

    @classmethod
    def fit(cls, features: Floats) -> Scaler:
        """Fit to (n, d) float64 features."""
        n, eps = len(features), np.finfo(np.float64).eps
        mean, variance = features.mean(axis=0), features.var(axis=0)
        constant = variance <= n * eps * variance + (n * mean * eps) ** 2
        return cls(mean, np.where(constant, 1.0, np.sqrt(variance)))

    def apply(self, features: NDArray[np.floating]) -> Floats:
        """Return (n, d) float64 standardised features."""
        scaled: Floats = (features - self.mean) / self.scale
        return scaled


@dataclass(frozen=True, slots=True)
class Classifier:
    """Scaler and weights."""

    scaler: Scaler
    coef: Floats
    """(k, d)"""
    intercept: Floats
    """(k,)"""

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """Return the decision values (n, k) of (n, d) features; the largest names the predicted class."""
        values: Floats = self.scaler.apply(features) @ self.coef.T + self.intercept
        return values


def final_classifier(probe: Stored[ProbeRecord]) -> Classifier:
    """Return the classifier that was fitted on everything but the hold-out."""
    arrays = probe.arrays
    scaler = Scaler(arrays["final_mean"], arrays["final_scale"])
    return Classifier(scaler, arrays["final_coef"], arrays["final_intercept"])


def final_scaling(probe: Stored[ProbeRecord]) -> Platt:
    """Return the Platt scaling of that classifier, which the probe's stored probabilities were made with: fitted to
    the folds' validation values, all together."""
    scores, labels = probe.arrays["scores_validation"], probe.arrays["labels"]
    known = ~np.isnan(scores).any(axis=1)
    return Platt.fit(scores[known], labels[known])
