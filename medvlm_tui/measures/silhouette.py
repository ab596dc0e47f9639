"""The mean silhouette (Rousseeuw 1987) of classes in a feature space and on a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
_BLOCK_ROWS = 512


def euclidean_silhouette(xy: Floats, codes: Ints) -> float | None:
    """Return the mean silhouette (Rousseeuw 1987) of classes (n,) on a map, as `sklearn.metrics.silhouette_score`."""
    if not 2 <= len(np.unique(codes)) < len(codes):
        return None
    number = np.unique(codes, return_inverse=True)[1]
    member = np.eye(number.max() + 1)[number]
    starts = range(0, len(xy), _BLOCK_ROWS)
    wide = xy.astype(np.float64)
    return _silhouette(np.concatenate([cdist(wide[s : s + _BLOCK_ROWS], wide) @ member for s in starts]), number)


def cosine_silhouette(units: Floats, codes: Ints) -> float | None:
    """Return the mean silhouette by cosine distance, exactly and without a distance matrix.

    The mean distance to a class is 1 - u . (mean of its unit rows). None unless 2 <= classes < rows. A class
    of one scores 0, as in scikit-learn.
    """
    classes, number = np.unique(codes, return_inverse=True)
    if not 2 <= len(classes) < len(codes):
        return None
    wide = units.astype(np.float64)
    sums = np.stack([wide[number == c].sum(axis=0) for c in range(len(classes))])
    total = np.bincount(number)[None] - wide @ sums.T
    # A row's distance to itself is 0, not 1 - |u|^2, which a zero row makes 1.
    total[np.arange(len(codes)), number] -= 1.0 - (wide**2).sum(axis=1)
    return _silhouette(total, number)


def _silhouette(total: NDArray[np.float64], number: Ints) -> float:
    """Return the mean silhouette from (n, classes) summed distances to each class."""
    n, size = len(number), np.bincount(number)
    own_size, own = size[number], total[np.arange(n), number]
    within = np.divide(own, own_size - 1, out=np.zeros(n), where=own_size > 1)
    between = total / size[None]
    between[np.arange(n), number] = np.inf
    nearest = between.min(axis=1)
    largest = np.maximum(within, nearest)
    value = np.divide(nearest - within, largest, out=np.zeros(n), where=(largest > 1e-12) & (own_size > 1))
    return float(value.mean())
