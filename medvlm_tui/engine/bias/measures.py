"""The bias lab's numbers, from features alone: how far an overlay moves them, and what a classifier makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.features.neighbours import cosine_neighbours, distance_blocks, unit_rows
from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.probe.solver import svm

Floats = NDArray[np.float64]
Features = NDArray[np.floating]
Ints = NDArray[np.int64]
# As in the probe's middle: C = t d / N with t = 1.
_T = 1.0
_EXACT_ARRANGEMENTS = 20_000
_DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Measure:
    """One number with its 95 % interval over images."""

    name: str
    condition: str
    value: float
    low: float
    high: float
    n: int
    chance: float | None = None
    """What a model that sees nothing of it would give."""

    def to_record(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)


def mean_measure(
    name: str, condition: str, values: NDArray[Any], seed: int, draws: int = 2000, chance: float | None = None
) -> Measure:
    """Return the mean of one value an image with its percentile bootstrap interval."""
    known = np.asarray(values, dtype=np.float64)
    picks = np.random.default_rng([seed, len(known)]).integers(0, len(known), size=(draws, len(known)))
    low, high = np.percentile(known[picks].mean(axis=1), [2.5, 97.5])
    return Measure(name, condition, float(known.mean()), float(low), float(high), len(known), chance)


def median_distance(features: Features) -> float:
    """Return the median cosine distance between different images."""
    units = unit_rows(features)
    parts = [
        block[np.arange(len(block))[:, None] + start < np.arange(len(units))] for start, block in distance_blocks(units)
    ]
    return float(np.median(np.concatenate(parts)))


def shift(before: Features, after: Features) -> Floats:
    """Return (n,) the cosine distance of each image to itself with an overlay, over the median between images (a)."""
    distance = 1.0 - (unit_rows(before).astype(np.float64) * unit_rows(after)).sum(axis=1)
    return np.asarray(np.clip(distance, 0.0, 2.0) / max(median_distance(before), 1e-12))


def fitted(features: Features, codes: Ints, n_classes: int) -> Classifier:
    """Return scaler and SVM fitted to features (n, d), as the probe fits its final classifier at t = 1."""
    scaler = Scaler.fit(np.asarray(features, dtype=np.float64))
    cost = _T * features.shape[1] / len(features)
    path = svm.solve_path(scaler.apply(features), codes, n_classes, [cost])
    return Classifier(scaler, path.coef[0], path.intercept[0])


def decodability(first: Features, second: Features, seed: int, folds: int = 5) -> NDArray[np.bool_]:
    """Return (2n,) whether the overlay of each picture is told right (b).

    Rows of `first` and `second` are the same images with two words; both stand on the same side of a fold.
    """
    n = len(first)
    fold = np.random.default_rng(seed).permutation(n) % min(folds, n)
    right = np.zeros((2, n), dtype=bool)
    for f in range(min(folds, n)):
        train, test = fold != f, fold == f
        model = fitted(np.concatenate([first[train], second[train]]), np.repeat([0, 1], int(train.sum())), 2)
        right[0, test] = model.scores(first[test]).argmax(axis=1) == 0
        right[1, test] = model.scores(second[test]).argmax(axis=1) == 1
    return right.ravel()


def flips(classifier: Classifier, before: Features, after: Features) -> NDArray[np.bool_]:
    """Return (n,) whether the predicted class changes with the overlay (c)."""
    return np.asarray(classifier.scores(before).argmax(axis=1) != classifier.scores(after).argmax(axis=1))


def robustness(features: Features, codes: Ints, words: Ints, k: int) -> tuple[float, Floats]:
    """Return the index SO / (SO + OS) and (n, 2) each row's SO and OS among its k nearest neighbours (d).

    SO: neighbours of the same class with another overlay; OS: of another class with the same overlay. 1 says that
    neighbourhoods follow the class, 0 that they follow the overlay.
    """
    near = cosine_neighbours(unit_rows(features), min(k + 1, len(features)), lambda: None).indices[:, 1:]
    same_class, same_word = codes[near] == codes[:, None], words[near] == words[:, None]
    counts = np.stack([(same_class & ~same_word).sum(axis=1), (~same_class & same_word).sum(axis=1)], axis=1)
    return _index(counts.astype(np.float64)), counts.astype(np.float64)


def robustness_measure(features: Features, codes: Ints, words: Ints, k: int, seed: int, draws: int = 2000) -> Measure:
    """Return the robustness index with an interval over rows; the neighbours are found once."""
    value, counts = robustness(features, codes, words, k)
    picks = np.random.default_rng(seed).integers(0, len(counts), size=(draws, len(counts)))
    low, high = np.percentile([_index(counts[row]) for row in picks], [2.5, 97.5])
    return Measure("robustness", f"k={k}", value, float(low), float(high), len(counts), 0.5)


def _index(counts: Floats) -> float:
    so, os_ = counts.sum(axis=0)
    return float(so / (so + os_)) if so + os_ > 0 else 0.5


def correlated_words(codes: Ints, n_words: int, share: float, seed: int) -> Ints:
    """Return the word of each image: that of its class (class modulo words) with probability `share`, else any."""
    random = np.random.default_rng(seed)
    drawn, own = random.integers(0, n_words, size=len(codes)), random.random(len(codes)) < share
    return np.where(own, codes % n_words, drawn)


def reversed_words(codes: Ints, n_words: int) -> Ints:
    """Return the word of the next class for each image."""
    return (codes + 1) % n_words


def correct(classifier: Classifier, features: Features, codes: Ints) -> NDArray[np.bool_]:
    """Return (n,) whether each image is classified right."""
    return np.asarray(classifier.scores(features).argmax(axis=1) == codes)


@dataclass(frozen=True, slots=True)
class GroupDifference:
    """Two groups of models compared."""

    difference: float
    """Mean of the first group minus mean of the second."""
    p: float
    """Two-sided, of the permutation test."""
    n_first: int
    n_second: int
    exact: bool
    """Every arrangement was tried; else 20,000 drawn ones."""


def group_difference(first: Sequence[float], second: Sequence[float], seed: int = 0) -> GroupDifference:
    """Compare a measure of two groups of models, e.g. medical and general, by permuting who belongs where (g).

    Exact up to 20,000 arrangements. Raises ValueError for an empty group.
    """
    if not first or not second:
        raise ValueError("both groups need a model")
    values, n = np.array([*first, *second], dtype=np.float64), len(first)
    observed = float(values[:n].mean() - values[n:].mean())
    exact = comb(len(values), n) <= _EXACT_ARRANGEMENTS
    if exact:
        chosen = np.array(list(combinations(range(len(values)), n)))
    else:
        random = np.random.default_rng(seed)
        chosen = np.stack([random.permutation(len(values))[:n] for _ in range(_DRAWS)])
    sums = values[chosen].sum(axis=1)
    differences = sums / n - (values.sum() - sums) / (len(values) - n)
    extreme = int((np.abs(differences) >= abs(observed) - 1e-12).sum())
    p = extreme / len(chosen) if exact else (extreme + 1) / (len(chosen) + 1)
    return GroupDifference(observed, p, n, len(second), exact)
