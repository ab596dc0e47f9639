"""Exact nearest neighbours by cosine distance: blocks of a matrix product, the k largest of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# 512 x 25,331 (ISIC 2019) float32 = 52 MB.
BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest rows of every row, itself first."""

    indices: NDArray[np.int32]
    """(n, k)"""
    distances: Floats
    """(n, k) cosine distances, 0 to 2, ascending."""

    def first(self, k: int) -> Neighbours:
        """Return the k nearest of these."""
        return Neighbours(np.ascontiguousarray(self.indices[:, :k]), np.ascontiguousarray(self.distances[:, :k]))


def unit_rows(features: NDArray[np.floating]) -> Floats:
    """Return the rows scaled to length 1; a zero row stays zero, at distance 1 from every other row."""
    # Scaled by the largest entry first, so that the squares of huge or tiny rows neither overflow nor vanish.
    rows = np.asarray(features, dtype=np.float64)
    rows = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0).astype(np.float32)
    return scaled


def distance_blocks(units: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield (first row, cosine distances (rows, n)) of unit rows; a row's distance to itself is exactly 0."""
    for start in range(0, len(units), BLOCK_ROWS):
        block = np.clip(1.0 - units[start : start + BLOCK_ROWS] @ units.T, 0.0, 2.0)
        block[np.arange(len(block)), start + np.arange(len(block))] = 0.0
        yield start, block


def cosine_neighbours(units: Floats, k: int, check: Callable[[], None]) -> Neighbours:
    """Return the k <= n nearest rows of each unit row; ties go to the lower index. `check` may raise."""
    n = len(units)
    indices, distances = np.empty((n, k), dtype=np.int32), np.empty((n, k), dtype=np.float32)
    for start, block in distance_blocks(units):
        check()
        rows = np.arange(len(block))
        block[rows, start + rows] = -1.0  # before any duplicate of itself
        nearest = np.sort(np.argpartition(block, k - 1, axis=1)[:, :k], axis=1)
        near = np.take_along_axis(block, nearest, axis=1)
        order = np.argsort(near, axis=1, kind="stable")
        indices[start : start + len(block)] = np.take_along_axis(nearest, order, axis=1)
        distances[start : start + len(block)] = np.take_along_axis(near, order, axis=1)
    distances[:, 0] = 0.0
    return Neighbours(indices, distances)
