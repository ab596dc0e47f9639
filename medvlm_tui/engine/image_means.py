"""The mean of one number per image, with an interval over images."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

FEWEST_IMAGES = 5
"""Below this many images a mean gets no interval: their spread is known too badly."""


@dataclass(frozen=True, slots=True)
class ImageMean:
    """A mean over independent images."""

    mean: float
    low: float | None
    """Lower end of the 95 % interval; None below FEWEST_IMAGES, and where all values are equal."""
    high: float | None
    n: int


def mean_over_images(
    values: ArrayLike, limits: tuple[float, float] = (-inf, inf), confidence: float = 0.95
) -> ImageMean:
    """Return the mean of values (n,) with Student's t interval, cut off at the `limits` that a value cannot pass.

    Equal values give no interval, since a width of zero would claim to know the mean exactly. Raises ValueError for
    no values.
    """
    known = np.asarray(values, dtype=np.float64)
    n = len(known)
    if n == 0:
        raise ValueError("the mean of no images is not defined")
    mean = float(known.mean())
    if n < FEWEST_IMAGES or float(np.ptp(known)) <= 0:
        return ImageMean(mean, None, None, n)
    reach = float(stdtrit(n - 1, 0.5 + confidence / 2)) * float(known.std(ddof=1)) / sqrt(n)
    return ImageMean(mean, max(limits[0], mean - reach), min(limits[1], mean + reach), n)
