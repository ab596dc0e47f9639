"""Two models on the same images: McNemar's test, the paired bootstrap, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class McNemar:
    """Whether two classifiers are right equally often, by the images on which one of them alone is."""

    only_first: int
    """Images that only the first has right."""
    only_second: int
    exact: float
    """Two-sided p-value of the exact conditional test: conservative where discordant images are few."""
    mid_p: float
    """The exact p-value less the probability of what was seen: nearer to its level than the exact test and, unlike
    chi2, with few discordant images too (Fagerland, Lydersen and Laake 2013). This one decides."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger one side's score is than the other's."""

    value: float
    low: float
    high: float
    """The bootstrap interval."""
    p_value: float
    """Two-sided, of the difference over its bootstrap standard error: resamples alone resolve no p-value as small
    as Holm's correction over many pairs asks for."""


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


def paired_difference(value: float, first: Floats, second: Floats, confidence: float) -> Difference:
    """Return a difference with its interval, from the scores (resamples,) of two models on the same resamples."""
    gain = first - second
    tail = (1 - confidence) / 2
    low, high = (float(bound) for bound in np.quantile(gain, [tail, 1 - tail]))
    error = float(gain.std())
    if error == 0:
        return Difference(value, low, high, 1.0 if abs(value) < 1e-12 else 0.0)
    return Difference(value, low, high, float(2 * norm.sf(abs(value) / error)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted for their number by Holm's step-down method."""
    order = np.argsort(p_values, kind="stable")
    m = len(order)
    stepped = [min(1.0, (m - i) * p_values[index]) for i, index in enumerate(order)]
    adjusted = np.empty(m)
    adjusted[order] = np.maximum.accumulate(stepped) if m else []
    return tuple(float(p) for p in adjusted)
