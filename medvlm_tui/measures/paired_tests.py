"""McNemar's test of two classifiers on the same images, and Holm's correction of several p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test of whether two classifiers are right equally often, by the images on which only one of them is."""

    only_first: int
    """Images that only the first has right."""
    only_second: int
    exact: float
    """Two-sided p-value of the exact conditional test: conservative where discordant images are few."""
    mid_p: float
    """The exact p-value less the probability of what was seen: nearer to its level than the exact test and, unlike
    chi2, with few discordant images too (Fagerland, Lydersen and Laake 2013)."""


def mcnemar(first_right: Mask, second_right: Mask) -> McNemar:
    """Return McNemar's test of two classifiers on the same (n,) images."""
    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    total, fewer = only_first + only_second, min(only_first, only_second)
    if total == 0:
        return McNemar(0, 0, 1.0, 1.0)
    exact = min(1.0, 2 * float(binom.cdf(fewer, total, 0.5)))
    seen = float(binom.pmf(fewer, total, 0.5))
    # With equal counts the two tails of `exact` share their middle.
    return McNemar(only_first, only_second, exact, 1 - seen / 2 if only_first == only_second else exact - seen)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted for their number by Holm's step-down method."""
    order = np.argsort(p_values, kind="stable")
    m = len(order)
    stepped = [min(1.0, (m - i) * p_values[index]) for i, index in enumerate(order)]
    adjusted = np.empty(m)
    adjusted[order] = np.maximum.accumulate(stepped) if m else []
    return tuple(float(p) for p in adjusted)
