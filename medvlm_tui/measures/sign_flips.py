"""Sign-flip tests of paired scores: how often a difference as large arises when each unit's sign is a coin's.

A unit is an image, or a whole group of images under `grouped`. When two models are equally good and their outputs
for a unit could as well be exchanged, the unit's contribution to the difference could as well have the other sign.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Signs = NDArray[np.float32]

EXACT_UNITS = 12
"""Up to this many units with a contribution all 2^units signs are tried (4,096); more are drawn from."""
CHUNK = 1000
_SMALLEST_SHARE = 1e-290


def exact_p_value(steps: Ints) -> float:
    """Return the two-sided p-value over all signs of whole-number contributions (units,); no signs are drawn.

    The distribution of the sum is built by convolution, magnitude by magnitude, so that any number of units is exact.
    """
    sizes = np.abs(steps[steps != 0])
    total, observed = int(sizes.sum()), abs(int(steps.sum()))
    if observed == 0:
        return 1.0
    # A sum of |observed| or more means that the units with the other sign weigh at most this much.
    most = (total - observed) // 2
    weight = np.zeros(most + 1)
    weight[0] = 1.0
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        weight = _with_units(weight, int(size), int(count))
    return min(1.0, 2 * float(weight.sum()))


def smallest_p_value(units: int) -> float:
    """Return the smallest two-sided p-value that the signs of this many units allow."""
    return min(1.0, 2.0 ** (1 - units))


def draws_needed(tests: int, alpha: float) -> int:
    """Return how many signs to draw so that Holm's first step over `tests` p-values can be reached with room."""
    return max(9_999, int(np.ceil(4 * tests / alpha)) - 1)


def drawn_signs(units: int, draws: int, seed: int) -> Iterator[Signs]:
    """Yield (at most CHUNK, units) arrays of -1 and 1, `draws` rows in all; each chunk has a stream of its own."""
    for chunk, start in enumerate(range(0, draws, CHUNK)):
        rows = min(CHUNK, draws - start)
        drawn = np.frombuffer(np.random.default_rng([seed, chunk]).bytes((rows * units + 7) // 8), dtype=np.uint8)
        bits = np.unpackbits(drawn, count=rows * units).reshape(rows, units)
        yield 1 - 2 * bits.astype(np.float32)


def all_signs(units: int) -> Signs:
    """Return (2^units, units) every combination of -1 and 1."""
    bits = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
    return (1 - 2 * bits).astype(np.float32)


def extreme(sums: Floats, observed: Floats) -> NDArray[np.bool_]:
    """Return which sums are as far from 0 as the observed one; sums equal up to rounding count as equal."""
    far: NDArray[np.bool_] = np.abs(sums) >= np.abs(observed) - 1e-9 * np.maximum(np.abs(observed), 1e-3)
    return far


def unit_sums(values: Floats, groups: Ints | None) -> Floats:
    """Return the sums (units, ...) of values (n, ...) over the images of each group; as they are without groups."""
    if groups is None:
        return values
    members = np.unique(groups, return_inverse=True)[1]
    sums = np.zeros((int(members.max()) + 1, *values.shape[1:]))
    np.add.at(sums, members, values)
    return sums


def _with_units(weight: Floats, size: int, count: int) -> Floats:
    """Return the distribution of the flipped weight after `count` more units of one size, cut to the same length."""
    made = np.zeros_like(weight)
    for flipped, share in enumerate(binom.pmf(np.arange(count + 1), count, 0.5)):
        offset = flipped * size
        if offset >= len(weight):
            break
        if share > _SMALLEST_SHARE:
            made[offset:] += share * weight[: len(weight) - offset]
    return made
