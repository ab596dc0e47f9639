"""Exact nearest rows by cosine in float64, the same on every machine: ties go to the lower row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.features.neighbours import Neighbours

Ints = NDArray[np.int64]
Wide = NDArray[np.float64]
# 256 x 22,528 (HiCervix) float64 = 46 MB.
BLOCK_ROWS = 256
DIGITS = 12
"""Decimals to which cosines are compared: the sum of some thousand products differs between CPUs from the 14th on."""


def wide_unit_rows(features: NDArray[np.floating]) -> Wide:
    """Return the rows (n, d) scaled to length 1 in float64; a zero row stays zero."""
    rows = np.asarray(features, dtype=np.float64)
    rows = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Wide = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return scaled


def nearest_rows(queries: Wide, known: Wide, k: int, check: Callable[[], None], itself: bool = False) -> Ints:
    """Return the k nearest of the unit rows `known` (n, d) for each unit row of `queries`, nearest first, (q, k).

    Cosines that agree to 12 decimals are a tie, and of tied rows the lower ones are taken, at the k-th place too.
    With `itself` the queries are the known rows, and a row is not among its own neighbours (k < n). `check` may raise.
    """
    nearest = np.empty((len(queries), k), dtype=np.int64)
    for start in range(0, len(queries), BLOCK_ROWS):
        check()
        block = np.round(queries[start : start + BLOCK_ROWS] @ known.T, DIGITS)
        if itself:
            block[np.arange(len(block)), start + np.arange(len(block))] = -np.inf
        nearest[start : start + len(block)] = _largest(block, k)
    return nearest


def exact_neighbours(units: Wide, k: int, check: Callable[[], None]) -> Neighbours:
    """Return the k <= n nearest rows of each unit row (n, d) as `nearest_rows` finds them, the row itself first."""
    own = np.arange(len(units))[:, None]
    others = nearest_rows(units, units, k - 1, check, itself=True) if k > 1 else own[:, :0]
    cosines = [np.einsum("nd,nd->n", units, units[column]) for column in others.T]
    apart = np.stack([np.zeros(len(units)), *(1.0 - cosine for cosine in cosines)], axis=1)
    indices = np.concatenate([own, others], axis=1).astype(np.int32)
    return Neighbours(indices, np.clip(apart, 0.0, 2.0).astype(np.float32))


def _largest(values: Wide, k: int) -> Ints:
    """Return the columns of the k largest values of each row, largest first, the lower column where values are equal.

    A partition alone takes any of the columns that are equal at the k-th place.
    """
    last = np.partition(values, values.shape[1] - k, axis=1)[:, values.shape[1] - k, None]
    above, equal = values > last, values == last
    wanted = k - above.sum(axis=1, keepdims=True)
    taken = above | (equal & (equal.cumsum(axis=1) <= wanted))
    columns = np.nonzero(taken)[1].reshape(len(values), k)
    order = np.argsort(-np.take_along_axis(values, columns, axis=1), axis=1, kind="stable")
    found: Ints = np.take_along_axis(columns, order, axis=1)
    return found
