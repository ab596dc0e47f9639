"""Likeness of the classes of texts and of images in their common space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from medvlm_tui.measures.language.zero_shot import unit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
EXACT_CLASSES = 6
"""Up to this many classes all k! permutations are tried (720)."""


def class_means(images: Floats, codes: Ints, n_classes: int) -> Floats:
    """Return the mean (k, d) of the vectors (n, d) of each class."""
    return np.stack([images[codes == number].mean(axis=0) for number in range(n_classes)])


def rsa(first: Floats, second: Floats) -> float | None:
    """Return Spearman's correlation of the cosines between classes in two spaces (k, d); None below four classes.

    Three classes have three pairs, which are too few for a rank correlation to say anything; two have one.
    """
    if len(first) < 4:
        return None
    above = np.triu_indices(len(first), 1)
    one, other = (rankdata(_cosines(space)[above]) for space in (first, second))
    return _correlation(one, other)


def linear_cka(first: Floats, second: Floats) -> float | None:
    """Return linear CKA of class vectors (k, d) in two spaces, each less its mean; None below three classes."""
    if len(first) < 3:
        return None
    one, other = (space - space.mean(axis=0) for space in (first, second))
    top = float((one.T @ other).ravel() @ (one.T @ other).ravel())
    bottom = float(np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other))
    return top / bottom if bottom > 0 else None


def permutation_p(
    measure: Callable[[Floats, Floats], float | None], first: Floats, second: Floats, draws: int, seed: int
) -> tuple[float, float] | None:
    """Return (mean by chance, p) of a measure against the classes of `second` permuted; None where it is undefined.

    All k! permutations up to EXACT_CLASSES classes, the identity among them; else (b + 1) / (draws + 1).
    """
    observed = measure(first, second)
    if observed is None:
        return None
    exact = len(first) <= EXACT_CLASSES
    found = [measure(first, second[order]) for order in _orders(len(first), draws, seed)]
    values = np.array([value for value in found if value is not None])
    above = int((values >= observed - 1e-12).sum())
    return float(values.mean()), above / factorial(len(first)) if exact else (above + 1) / (len(values) + 1)


def _orders(k: int, draws: int, seed: int) -> Iterator[Ints]:
    if k <= EXACT_CLASSES:
        yield from (np.array(order) for order in permutations(range(k)))
        return
    random = np.random.default_rng(seed)
    for _ in range(draws):
        yield random.permutation(k)


def direction_cosines(texts: Floats, weights: Floats) -> Floats:
    """Return (k,) cosines of text vectors (k, d) and a classifier's weights (k, d), each less its mean over classes.

    Both are directions that set one class off from the others; what all classes share says nothing.
    """
    one, other = texts - texts.mean(axis=0), weights - weights.mean(axis=0)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / np.where(norms > 0, norms, 1.0), dtype=np.float64)


def _cosines(space: Floats) -> Floats:
    rows = unit(space)
    return np.asarray(rows @ rows.T, dtype=np.float64)


def _correlation(one: Floats, other: Floats) -> float | None:
    first, second = one - one.mean(), other - other.mean()
    bottom = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / bottom if bottom > 0 else None
