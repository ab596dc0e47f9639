"""Platt scaling of decision values, and the calibration error of the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ECE_BINS = 15
_ITERATIONS = 100
_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Platt:
    """One sigmoid for each class: p(class c | f) = 1 / (1 + exp(-(slope f + offset))), normalised over classes."""

    slope: Floats
    offset: Floats

    @classmethod
    def fit(cls, scores: Floats, codes: Ints) -> Platt:
        """Fit to decision values (n, k) of images that the classifier was not trained on, and their classes (n,)."""
        pairs = [_sigmoid(scores[:, c], codes == c) for c in range(scores.shape[1])]
        return cls(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))

    def probabilities(self, scores: Floats) -> Floats:
        """Return (n, k) probabilities of decision values (n, k); rows sum to 1."""
        raw = expit(scores * self.slope + self.offset)
        total = raw.sum(axis=1, keepdims=True)
        uniform = np.full_like(raw, 1.0 / raw.shape[1])
        shares: Floats = np.divide(raw, total, out=uniform, where=total > 0)
        return shares


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_], bins: int = ECE_BINS) -> float:
    """Return sum over equal-width bins of (share of images) |accuracy - mean confidence| (Guo et al. 2017)."""
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def _sigmoid(scores: Floats, positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and offset by Newton's method on Platt's smoothed targets (Lin, Lin and Weng 2007)."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    spread = float(np.std(scores)) or 1.0
    x = np.stack([scores / spread, np.ones_like(scores)], axis=1)
    beta = np.array([0.0, np.log((n_positive + 1) / (n_negative + 1))])
    for _ in range(_ITERATIONS):
        p = expit(x @ beta)
        gradient = x.T @ (p - target)
        if np.abs(gradient).max() < _TOLERANCE * len(scores):
            break
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-12 * np.eye(2)
        beta = _descend(x, target, beta, np.linalg.solve(hessian, gradient))
    return float(beta[0] / spread), float(beta[1])


def _descend(x: Floats, target: Floats, beta: Floats, step: Floats) -> Floats:
    """Return beta - s step, with s halved until the loss does not grow."""
    start, size = _loss(x, target, beta), 1.0
    while size > 1e-10 and _loss(x, target, beta - size * step) > start:
        size /= 2
    return beta - size * step


def _loss(x: Floats, target: Floats, beta: Floats) -> float:
    f = x @ beta
    return float(np.sum(np.logaddexp(0.0, f) - target * f))
