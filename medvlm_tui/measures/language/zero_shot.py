"""Zero-shot classification: class vectors of prompts, cosines, probabilities, and how much the prompts matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.measures.classification import balanced_accuracy, confusion

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def unit(vectors: NDArray[np.floating]) -> Floats:
    """Return rows (n, d) at length 1 in float64; a row of zeros stays one."""
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(wide / np.where(norms > 0, norms, 1.0), dtype=np.float64)


def class_vectors(prompts: Sequence[NDArray[np.floating]], last_unit: bool = True) -> Floats:
    """Return (k, d): of each class the mean of its prompts' unit vectors, at length 1 again.

    With `last_unit` false the mean stays as long as it is, as FLAIR and KeepFIT have it.
    """
    means = np.stack([unit(each).mean(axis=0) for each in prompts])
    return unit(means) if last_unit else means


def probabilities(cosines: Floats, factor: float, bias: float | None) -> Floats:
    """Return (n, k): the softmax of scaled cosines; with a `bias` the sigmoid of each, brought to sum one."""
    logits = factor * cosines
    if bias is not None:
        each = 1.0 / (1.0 + np.exp(-np.clip(logits + bias, -700, 700)))
        return np.asarray(each / np.maximum(each.sum(axis=1, keepdims=True), np.finfo(float).tiny), dtype=np.float64)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float64)


def centred(vectors: Floats) -> Floats:
    """Return unit rows less their mean, at length 1 again: a modality without its offset."""
    return unit(vectors - vectors.mean(axis=0))


def quadratic_kappa(codes: Ints, predicted: Ints, n_classes: int) -> float | None:
    """Return Cohen's kappa with squared distances between grades as weights; None where it is undefined."""
    counts = confusion(codes, predicted, n_classes)
    grades = np.arange(n_classes)
    weights = (grades[:, None] - grades[None]) ** 2
    by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    expected = float((weights * by_chance).sum())
    return 1.0 - float((weights * counts).sum()) / expected if expected > 0 else None


def flip_rate(first: Ints, second: Ints) -> float:
    """Return the share of images whose predicted class differs."""
    return float((first != second).mean())


def chance_by_names(codes: Ints, predicted: Ints, n_classes: int, draws: int, seed: int) -> tuple[float, float]:
    """Return the mean balanced accuracy with the classes' names permuted, and the share of permutations at or above
    the observed one, (b + 1) / (N + 1). The identity is among those drawn from."""
    counts = confusion(codes, predicted, n_classes)
    observed = float(balanced_accuracy(counts))
    random = np.random.default_rng(seed)
    found = np.array([float(balanced_accuracy(counts[:, random.permutation(n_classes)])) for _ in range(draws)])
    return float(found.mean()), float((found >= observed - 1e-12).sum() + 1) / (draws + 1)


def best_threshold(differences: Floats, positive: NDArray[np.bool_]) -> float:
    """Return the threshold on (n,) score differences with the best balanced accuracy; the lowest of equal ones."""
    cuts = np.unique(differences)
    middles = np.concatenate([[cuts[0] - 1.0], (cuts[1:] + cuts[:-1]) / 2])
    above = differences[None] > middles[:, None]
    rates = (above & positive).sum(axis=1) / max(int(positive.sum()), 1)
    rejected = (~above & ~positive).sum(axis=1) / max(int((~positive).sum()), 1)
    return float(middles[int(np.argmax(rates + rejected))])
