"""Scores of a two-dimensional map: how much of the features' neighbourhoods it keeps, how well it shows the classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from medvlm_tui.engine.features.neighbours import BLOCK_ROWS, Floats, Neighbours, distance_blocks
from medvlm_tui.measures.silhouette import cosine_silhouette, euclidean_silhouette

Ints = NDArray[np.int64]
Ranks = NDArray[np.int32]
NEIGHBOURS = 15
# 8,192 x 8,192 int32 = 268 MB: ranks of smaller sets are kept for the next map, of larger ones made again.
KEPT_POINTS = 8_192


@dataclass(slots=True)
class FeatureRanks:
    """The features' side of the scores, which all maps of the same rows share."""

    units: Floats
    """(n, d) unit rows."""
    near: Neighbours
    """At least as many neighbours as the scores use, or all rows."""
    _kept: Ranks | None = None
    _silhouette: tuple[Ints, float | None] | None = None
    """Classes and what they gave, as all maps of a grid show the same ones."""

    def blocks(self) -> Iterator[tuple[int, Ranks]]:
        """Yield (first row, (rows, n) rank of each row as a neighbour; 0 is the row itself)."""
        if self._kept is None and len(self.units) <= KEPT_POINTS:
            self._kept = np.concatenate([rank for _, rank in self._made()])
        if self._kept is None:
            yield from self._made()
            return
        for start in range(0, len(self._kept), BLOCK_ROWS):
            yield start, self._kept[start : start + BLOCK_ROWS]

    def silhouette(self, codes: Ints) -> float | None:
        """Return `cosine_silhouette` of classes (n,), kept for the next map."""
        if self._silhouette is None or not np.array_equal(self._silhouette[0], codes):
            self._silhouette = (codes, cosine_silhouette(self.units, codes))
        return self._silhouette[1]

    def _made(self) -> Iterator[tuple[int, Ranks]]:
        for start, block in distance_blocks(self.units):
            yield start, _ranks(block, start)


def map_scores(features: FeatureRanks, xy: Floats, codes: Ints) -> dict[str, float | None]:
    """Return the scores of a map (n, 2) with classes (n,); None where undefined.

    trustworthiness and continuity (15 neighbours, cosine in the features, Euclidean on the map) need no classes.
    knn_purity (share of a point's 15 nearest on the map that have its class) and silhouette (Euclidean, on the
    map) say how the map shows them; silhouette_features (cosine) is the same of the features, for comparison.
    """
    near = map_neighbours(xy)
    several = len(np.unique(codes)) > 1
    return {
        "trustworthiness": None if near is None else trustworthiness(features, near),
        "continuity": None if near is None else continuity(features.near, xy, near.shape[1]),
        "knn_purity": float((codes[near] == codes[:, None]).mean()) if near is not None and several else None,
        "silhouette": euclidean_silhouette(xy, codes),
        "silhouette_features": features.silhouette(codes),
    }


def trustworthiness(features: FeatureRanks, near: Ints) -> float | None:
    """Return 1 minus the penalty for map neighbours (n, k) that are none in the features (Venna and Kaski 2001).

    None when k is not below n / 2, where the measure is not defined.
    """
    n, k = near.shape
    if 2 * k >= n:
        return None
    penalty = 0
    for start, rank in features.blocks():
        excess = np.take_along_axis(rank, near[start : start + len(rank)], axis=1) - k
        penalty += int(excess[excess > 0].sum())
    return _faithfulness(penalty, n, k)


def continuity(near: Neighbours, xy: Floats, k: int) -> float | None:
    """Return 1 minus the penalty for the features' neighbours that are none on the map (Venna and Kaski 2001)."""
    n = len(xy)
    if 2 * k >= n:
        return None
    penalty = 0
    wide = xy.astype(np.float64)
    for start in range(0, n, BLOCK_ROWS):
        distances = cdist(wide[start : start + BLOCK_ROWS], wide).astype(np.float32)
        excess = _ranks_of(near.indices[start : start + len(distances), 1 : k + 1], distances, start) - k
        penalty += int(excess[excess > 0].sum())
    return _faithfulness(penalty, n, k)


def map_neighbours(xy: Floats) -> Ints | None:
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


def _ranks(distances: Floats, start: int) -> Ranks:
    """Return the rank of every column in every row, the row itself (column `start` + row) being 0."""
    rows = np.arange(len(distances))
    distances[rows, start + rows] = -1.0
    rank = np.empty(distances.shape, dtype=np.int32)
    nearest = np.argsort(distances, axis=1, kind="stable")
    np.put_along_axis(rank, nearest, np.arange(distances.shape[1], dtype=np.int32)[None], axis=1)
    return rank


def _ranks_of(columns: NDArray[np.int32], distances: Floats, start: int) -> Ints:
    """Return the ranks (rows, k) that `_ranks` gives to `columns` (rows, k) of each row, in a quarter of its time.

    A distance that is not negative and its column are ordered as one integer: numpy sorts those, not indices, with
    the CPU's vector instructions.
    """
    order = distances.view(np.int32).astype(np.int64)
    order <<= 32
    order |= np.arange(distances.shape[1])
    rows = np.arange(len(distances))
    order[rows, start + rows] = -1
    wanted = np.take_along_axis(order, columns, axis=1)
    order.sort(axis=1)
    return np.stack([np.searchsorted(ascending, keys) for ascending, keys in zip(order, wanted, strict=True)])


def _faithfulness(penalty: int, n: int, k: int) -> float:
    return float(1.0 - penalty * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)))
