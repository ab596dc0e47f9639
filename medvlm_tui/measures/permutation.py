"""Two groups of models over data sets: a permutation test in which models, not images, are exchanged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medvlm_tui.measures.paired_tests import holm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Up to this many divisions of the models all of them are tried, above it as many are drawn.
PERMUTATIONS = 10_000


@dataclass(frozen=True, slots=True)
class GroupTest:
    """The difference of the mean scores of two groups of models."""

    difference: float
    """Mean over the data sets that have models on both sides."""
    p_value: float
    """Two-sided: the share of divisions of the models with a difference at least as large."""
    permutations: int
    exhaustive: bool
    inside: int
    """Models that are inside on some data set."""
    outside: int
    datasets: int


def group_test(scores: Floats, members: ArrayLike, seed: int = 0) -> GroupTest:
    """Compare models inside a group with those outside: (N, k) scores, NaN where a model has none.

    `members` (k,) or, where membership depends on the data set, (N, k): true or 1 inside, false or 0 outside, NaN
    takes no part. A model keeps its scores and exchanges its memberships, all together, with another model's: models
    are what one generalises over. Raises ValueError when no data set has models on both sides.
    """
    places = np.broadcast_to(np.asarray(members, dtype=np.float64), scores.shape)
    part = ~np.isnan(places).all(axis=0) & ~np.isnan(scores).all(axis=0)
    scores, places = scores[:, part], places[:, part]
    observed = float(_differences(scores, places, np.arange(part.sum())[None])[0])
    if math.isnan(observed):
        raise ValueError("a group test needs models on both sides")
    orders, exhaustive = _orders(places, seed)
    # 1e-12: divisions that give the same difference up to rounding count as equal.
    extreme = int((np.abs(_differences(scores, places, orders)) >= abs(observed) - 1e-12).sum())
    # A drawn sample does not contain the observed division, which belongs to the distribution.
    p_value = extreme / len(orders) if exhaustive else (extreme + 1) / (len(orders) + 1)
    both = _two_sided(scores, places)
    inside, outside = (int(((places[both] == side) & ~np.isnan(scores[both])).any(axis=0).sum()) for side in (1, 0))
    return GroupTest(observed, p_value, len(orders), exhaustive, inside, outside, int(both.sum()))


def adjusted(tests: Sequence[GroupTest]) -> tuple[float, ...]:
    """Return the tests' p-values, adjusted for their number by Holm's method."""
    return holm([test.p_value for test in tests])


def _two_sided(scores: Floats, places: Floats) -> NDArray[np.bool_]:
    known = ~np.isnan(scores)
    both: NDArray[np.bool_] = ((places == 1) & known).any(axis=1) & ((places == 0) & known).any(axis=1)
    return both


def _differences(scores: Floats, places: Floats, orders: Ints) -> Floats:
    """Return (P,) differences, model m taking the memberships of model `orders[p, m]`; NaN with no two-sided set."""
    known, filled = ~np.isnan(scores), np.nan_to_num(scores)
    total, count = np.zeros(len(orders)), np.zeros(len(orders))
    for row, (values, there) in enumerate(zip(filled, known, strict=True)):
        moved = places[row][orders]
        inside, outside = (moved == 1) & there, (moved == 0) & there
        n_in, n_out = inside.sum(axis=1), outside.sum(axis=1)
        both = (n_in > 0) & (n_out > 0)
        gap = (inside @ values) / np.maximum(n_in, 1) - (outside @ values) / np.maximum(n_out, 1)
        total += np.where(both, gap, 0.0)
        count += both
    means: Floats = np.divide(total, count, out=np.full(len(orders), np.nan), where=count > 0)
    return means


def _orders(places: Floats, seed: int) -> tuple[Ints, bool]:
    """Return (P, k) exchanges of memberships, and whether they are all that differ."""
    k = places.shape[1]
    kinds = np.unique(np.nan_to_num(places, nan=-1.0), axis=1, return_inverse=True)[1].ravel()
    if kinds.max() == 1 and math.comb(k, int(kinds.sum())) <= PERMUTATIONS:
        return _all_divisions(kinds), True
    if math.factorial(k) <= PERMUTATIONS:
        return np.array(list(permutations(range(k))), dtype=np.int64), True
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(k), (PERMUTATIONS, 1)), axis=1), False


def _all_divisions(kinds: Ints) -> Ints:
    """Return (P, k) orders, one for each way to give the memberships of two kinds of models to all of them."""
    k, second = len(kinds), np.flatnonzero(kinds == 1)
    first = np.flatnonzero(kinds == 0)
    orders = np.empty((math.comb(k, len(second)), k), dtype=np.int64)
    for row, chosen in zip(orders, combinations(range(k), len(second)), strict=True):
        row[list(chosen)] = second
        row[np.setdiff1d(np.arange(k), chosen)] = first
    return orders
