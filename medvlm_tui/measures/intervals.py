"""Confidence intervals of means of values between 0 and 1: score intervals with an effective number of images.

Wilson's interval inverts the score test of a proportion. For a mean whose images are not independent, or whose values
are not only 0 and 1, the number of images is replaced by the number of independent right-or-wrong images that would
give the same variance (Korn and Graubard 1998; Franco, Little, Louis and Slud 2019). The interval is never of zero
width, stays within 0 and 1, and its coverage is measured in docs/statistics.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm, t

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]

FEWEST_IMAGES = 5
"""Fewer values than this give no interval."""
PULL = 0.25
"""Weight, in errors, of the design effect that is assumed before the data are seen.

Few errors say little about how far the classifiers or the images of a group agree. Chosen by simulation: with 0 the
coverage at 98 % accuracy falls to 0.90, with 1 it rises to 0.98 to 0.99 (docs/statistics.md).
"""


def share_interval(successes: float, n: int, confidence: float = 0.95) -> Interval | None:
    """Return Wilson's interval of a share of n independent images; None below FEWEST_IMAGES."""
    return None if n < FEWEST_IMAGES else _wilson(successes / n, n, confidence)


def score_interval(
    value: float, variance: float, n: int, units: int, assumed_effect: float = 1.0, confidence: float = 0.95
) -> Interval | None:
    """Return the interval of a mean between 0 and 1 over n images; None below FEWEST_IMAGES or with one unit.

    `variance` is the estimated variance of the mean. `units` is the number of independent units: groups of images, or
    n. `assumed_effect` is the design effect (variance over that of n independent right-or-wrong images) where the data
    say nothing about it: 1 for n independent images.
    """
    if n < FEWEST_IMAGES or units < 2:
        return None
    return _wilson(value, n / design_effect(value, variance, n, units, assumed_effect), confidence)


def design_effect(value: float, variance: float, n: int, units: int, assumed_effect: float) -> float:
    """Return variance over value (1 - value) / n, pulled towards `assumed_effect` where errors are few."""
    binary = value * (1 - value)
    errors = units * binary
    seen = 0.0 if binary <= 0 else variance * n / binary
    return (seen * errors + assumed_effect * PULL) / (errors + PULL)


def mean_interval(
    values: Floats, bounds: tuple[float, float] | None = None, confidence: float = 0.95
) -> Interval | None:
    """Return the interval of the mean of independent values (n,); None below FEWEST_IMAGES.

    With `bounds` (lowest and highest possible value) a score interval; without, Student's, which is None where all
    values are equal: their spread is then unknown and not zero.
    """
    n, mean = len(values), float(np.mean(values)) if len(values) else 0.0
    if n < FEWEST_IMAGES:
        return None
    error = float(np.std(values, ddof=1) / np.sqrt(n))
    if bounds is not None:
        low, span = bounds[0], bounds[1] - bounds[0]
        found = score_interval((mean - low) / span, (error / span) ** 2, n, n, 1.0, confidence)
        return None if found is None else (low + span * found[0], low + span * found[1])
    if error <= 1e-12 * max(1.0, abs(mean)):
        return None
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * error
    return mean - half, mean + half


def _wilson(value: float, n: float, confidence: float) -> Interval:
    z = float(norm.ppf((1 + confidence) / 2))
    value = min(max(value, 0.0), 1.0)
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # The value itself lies inside in exact arithmetic: rounding must not leave 1 out of an interval that ends there.
    return float(max(0.0, min(value, centre - half))), float(min(1.0, max(value, centre + half)))


def median_interval(values: Floats, confidence: float = 0.95) -> Interval | None:
    """Return the interval of the median of independent values (n,): two of the values themselves, by the binomial.

    None below FEWEST_IMAGES, or where not even the least and the greatest value reach the confidence.
    """
    n = len(values)
    rank = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    # P(B < rank) < (1 - confidence) / 2 for B ~ Binomial(n, 1/2): so often is the median below the rank-th value.
    if n < FEWEST_IMAGES or rank < 1:
        return None
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[n - rank])
