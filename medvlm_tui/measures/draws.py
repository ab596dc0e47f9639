"""Rows drawn by a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def stratified_subsample(codes: Ints, max_points: int, seed: int) -> Ints:
    """Return sorted row indices, all of them or `max_points` with the classes' shares kept, one of each at least."""
    n = len(codes)
    if n <= max_points:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    classes, sizes = np.unique(codes, return_counts=True)
    quota = np.maximum(1, np.floor(sizes * max_points / n).astype(int))
    # What rounding left over goes to the classes with the largest remainders.
    remainder = sizes * max_points / n - quota
    for c in np.argsort(-remainder, kind="stable")[: max(0, max_points - int(quota.sum()))]:
        quota[c] += 1
    chosen = [rng.permutation(np.flatnonzero(codes == c))[:q] for c, q in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen))


def draw_of_class(members: Ints, code: int, count: int, seed: int) -> Ints:
    """Return the first `count` of a class's rows in an order that seed and class decide: more keep those drawn."""
    return members[np.random.default_rng([seed, code]).permutation(len(members))[:count]]
