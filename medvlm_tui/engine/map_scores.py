"""How much of the features' neighbourhoods a two-dimensional map keeps, and how well it shows the classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from medvlm_tui.engine.neighbours import Floats, distance_blocks

Ints = NDArray[np.int64]
NEIGHBOURS = 15


def map_scores(units: Floats, xy: Floats, codes: Ints) -> dict[str, float | None]:
    """Return the scores of a map (n, 2) of unit feature rows (n, d) with classes (n,); None where undefined.

    trustworthiness (cosine against Euclidean, 15 neighbours) and knn_purity (share of a point's 15 nearest on
    the map that have its class) read the map; silhouette (cosine) reads the features, for comparison.
    """
    near = _map_neighbours(xy)
    several = len(np.unique(codes)) > 1
    return {
        "trustworthiness": None if near is None else trustworthiness(units, near),
        "knn_purity": float((codes[near] == codes[:, None]).mean()) if near is not None and several else None,
        "silhouette": cosine_silhouette(units, codes),
    }


def trustworthiness(units: Floats, near: Ints) -> float | None:
    """Return 1 minus the penalty for map neighbours (n, k) that are none in the features (Venna and Kaski 2001).

    None when k is not below n / 2, where the measure is not defined.
    """
    n, k = near.shape
    if 2 * k >= n:
        return None
    penalty = 0
    for start, block in distance_blocks(units):
        rows = np.arange(len(block))
        block[rows, start + rows] = -1.0
        rank = np.empty(block.shape, dtype=np.int32)
        np.put_along_axis(rank, np.argsort(block, axis=1, kind="stable"), np.arange(n, dtype=np.int32)[None], axis=1)
        excess = np.take_along_axis(rank, near[start : start + len(block)], axis=1) - k
        penalty += int(excess[excess > 0].sum())
    return float(1.0 - penalty * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)))


def cosine_silhouette(units: Floats, codes: Ints) -> float | None:
    """Return the mean silhouette by cosine distance, exactly and without a distance matrix.

    The mean distance to a class is 1 - u . (mean of its unit rows). None unless 2 <= classes < rows. A class
    of one scores 0, as in scikit-learn.
    """
    classes, number = np.unique(codes, return_inverse=True)
    n = len(codes)
    if not 2 <= len(classes) < n:
        return None
    wide = units.astype(np.float64)
    size = np.bincount(number)
    sums = np.stack([wide[number == c].sum(axis=0) for c in range(len(classes))])
    total = size[None] - wide @ sums.T
    own_size, own = size[number], total[np.arange(n), number]
    # A row's distance to itself is 0, not 1 - |u|^2, which a zero row makes 1.
    own = own - (1.0 - (wide**2).sum(axis=1))
    within = np.divide(own, own_size - 1, out=np.zeros(n), where=own_size > 1)
    between = total / size[None]
    between[np.arange(n), number] = np.inf
    nearest = between.min(axis=1)
    largest = np.maximum(within, nearest)
    value = np.divide(nearest - within, largest, out=np.zeros(n), where=(largest > 1e-12) & (own_size > 1))
    return float(value.mean())


def _map_neighbours(xy: Floats) -> Ints | None:
    """Return (n, k) Euclidean neighbours without the point itself, k = 15 or fewer, or None below three points."""
    n = len(xy)
    k = min(NEIGHBOURS, (n - 1) // 2)
    if k < 1:
        return None
    _, near = KDTree(xy).query(xy, k=k + 1)
    own = near == np.arange(n)[:, None]
    # Among identical points the point itself need not come first, nor within the k + 1.
    own[~own.any(axis=1), -1] = True
    kept: Ints = near[~own].reshape(n, k)
    return kept
