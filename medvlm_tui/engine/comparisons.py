"""Two models on one data set, and two groups of models: McNemar, paired bootstrap, permutation, Holm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from medvlm_tui.engine.statistics import interval, resample_weights

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Below this many divisions of the models all of them are tried, above it as many are drawn.
PERMUTATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger one side's score is than the other's."""

    value: float
    low: float
    high: float
    """The bootstrap interval."""


@dataclass(frozen=True, slots=True)
class GroupTest:
    """The difference of the mean scores of two groups of models."""

    difference: float
    p_value: float
    """Two-sided: the share of divisions of the models with a difference at least as large."""
    permutations: int
    exhaustive: bool


def mcnemar(first_right: Mask, second_right: Mask) -> float:
    """Return the exact two-sided p-value that two classifiers are right equally often on the same (n,) images."""
    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def paired_bootstrap(
    first_right: Mask, second_right: Mask, codes: NDArray[np.int64], resamples: int, confidence: float, seed: int
) -> Difference:
    """Return the difference of two accuracies with its interval; both classifiers see the same resampled images.

    `first_right` and `second_right` are (n,) or (folds, n); the folds of one image are drawn together. Classes keep
    their sizes.
    """
    gain = np.atleast_2d(first_right).mean(axis=0) - np.atleast_2d(second_right).mean(axis=0)
    weights = resample_weights(codes, resamples, np.random.default_rng(seed))
    low, high = interval(weights @ gain / len(gain), confidence)
    return Difference(float(gain.mean()), low, high)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted for their number by Holm's step-down method."""
    order = np.argsort(p_values, kind="stable")
    m = len(order)
    stepped = [min(1.0, (m - i) * p_values[index]) for i, index in enumerate(order)]
    adjusted = np.empty(m)
    adjusted[order] = np.maximum.accumulate(stepped)
    return tuple(float(p) for p in adjusted)


def group_test(scores: Floats, members: Mask, seed: int = 0) -> GroupTest:
    """Compare models in a group with the others: (N, k) scores, (k,) membership, both sides non-empty (ValueError).

    The statistic is the mean over data sets of (group mean - mean of the others); the models' membership is
    permuted, since models, not images, are what one generalises over.
    """
    size, k = int(members.sum()), len(members)
    if not 0 < size < k:
        raise ValueError("a group test needs models on both sides")
    level = scores.mean(axis=0)
    observed = _difference(level, members[None])[0]
    exhaustive = math.comb(k, size) <= PERMUTATIONS
    divisions = _all_divisions(k, size) if exhaustive else _drawn_divisions(members, seed)
    # 1e-12: divisions that give the same difference up to rounding count as equal.
    extreme = int((np.abs(_difference(level, divisions)) >= abs(observed) - 1e-12).sum())
    # A drawn sample does not contain the observed division, which belongs to the distribution.
    p_value = extreme / len(divisions) if exhaustive else (extreme + 1) / (len(divisions) + 1)
    return GroupTest(float(observed), p_value, len(divisions), exhaustive)


def _difference(level: Floats, members: Mask) -> Floats:
    inside = members @ level
    size = members.sum(axis=1)
    difference: Floats = inside / size - (level.sum() - inside) / (len(level) - size)
    return difference


def _all_divisions(k: int, size: int) -> Mask:
    divisions = np.zeros((math.comb(k, size), k), dtype=bool)
    for row, chosen in zip(divisions, combinations(range(k), size), strict=True):
        row[list(chosen)] = True
    return divisions


def _drawn_divisions(members: Mask, seed: int) -> Mask:
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(members, (PERMUTATIONS, 1)), axis=1)
