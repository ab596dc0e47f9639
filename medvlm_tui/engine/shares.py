"""The interval of a share: of n independent images, how many are right, flipped or hit."""

from __future__ import annotations

from math import sqrt

from scipy.special import ndtri


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of `successes` out of `n` (Wilson 1927).

    It has a width above zero for 0 and for n successes, and lies within [0, 1]. `successes` need not be whole: for
    the mean of n values between 0 and 1, whose variance is at most that of a share with the same mean, the interval
    is conservative. Raises ValueError when there are no images, or more successes than images.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes:g} of {n} is no share")
    z, share = float(ndtri(0.5 + confidence / 2)), successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else middle - reach
    high = 1.0 if successes == n else middle + reach
    return low, high
