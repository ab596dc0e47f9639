"""The difference of two models' scores on the same images: its interval, and the smallest one that would have shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from medvlm_tui.measures.influence import Influence, group_effect, unit_count, variance
from medvlm_tui.measures.intervals import PULL
from medvlm_tui.measures.sign_flips import smallest_p_value

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POWER = 0.8
"""Probability with which a difference of `smallest_seen` would have been told from none."""


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """The first model's score less the second's."""

    value: float
    low: float
    high: float
    """The interval of `value`; never of zero width."""
    error: float
    """Its standard error, never zero."""
    units: int
    """Images, or groups of images, that it rests on."""


def score_difference(
    first: Influence,
    second: Influence,
    strata: Ints | None,
    groups: Ints | None,
    confidence: float = 0.95,
    draws_variance: float = 0.0,
) -> ScoreDifference:
    """Return the difference of two scores of the same images (n,), classes `strata` (n,), groups `groups` (n,).

    As Bonett and Price (2012) do for two paired shares, units on which one model alone is right are added, as many for
    either model. They add two in all, the interval's coverage then exceeds 0.98 on few images; PULL in all keeps it at
    0.94 and more (docs/statistics.md). `draws_variance` is the variance over draws of training images that both models
    share.
    """
    n, value = len(first.per_image), first.value - second.value
    units = unit_count(n, groups)
    seen = variance(first.per_image - second.per_image, strata, groups)
    weight = max(first.assumed_effect, second.assumed_effect) * group_effect(groups) * units / n
    error = float(np.sqrt((units**2 * seen + PULL * weight) / (units + PULL) ** 2 + draws_variance))
    half = float(t.ppf((1 + confidence) / 2, max(units - 1, 1))) * error
    centre = value * units / (units + PULL)
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return ScoreDifference(value, min(low, value), max(high, value), error, units)


def smallest_seen(difference: ScoreDifference, alpha: float, tests: int) -> float | None:
    """Return the smallest true difference that a test at level alpha / tests shows with probability POWER.

    From the standard error that this comparison had; at least as many units as the sign-flip test needs must differ.
    None where no p-value could be small enough, or where the difference would exceed the largest possible, 1.
    """
    if too_few(difference.units, alpha, tests):
        return None
    level = alpha / tests
    needed = int(np.ceil(1 - np.log2(level))) / difference.units
    found = float(norm.isf(level / 2) + norm.ppf(POWER)) * difference.error
    return max(found, needed) if max(found, needed) <= 1 else None


def too_few(units: int, alpha: float, tests: int) -> bool:
    """Return whether no p-value of a sign-flip test over these units could be below alpha after Holm's adjustment."""
    return smallest_p_value(units) * tests >= alpha


def draws_p_value(difference: float, images_variance: float, draws: Floats, units: int) -> float:
    """Return the two-sided p-value of a difference whose error has a part from images and one from training draws.

    `draws` (F,) are the differences of the F draws of training images; Welch-Satterthwaite degrees of freedom.
    """
    parts = np.array([images_variance, float(np.var(draws, ddof=1)) / len(draws)])
    total = float(parts.sum())
    if total == 0:
        return 1.0 if abs(difference) < 1e-12 else 2.0 ** (1 - units)
    freedom = total**2 / float((parts**2 / np.array([max(units - 1, 1), len(draws) - 1])).sum())
    return float(2 * t.sf(abs(difference) / np.sqrt(total), freedom))
