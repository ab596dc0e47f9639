"""Scores over several hold-outs of the same images: means, corrected intervals and tests, ranks with their spread.

Hold-outs of different seeds share images, and so do their training parts: the variance of a mean over J of them is
(1 / J + n_test / n_train) times that of the J values, with J - 1 degrees of freedom (Nadeau and Bengio 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, t

from medvlm_tui.measures.intervals import PULL, Interval
from medvlm_tui.measures.paired_scores import POWER

Floats = NDArray[np.float64]
SCALE = {"brier": 2.0, "brier_calibrated": 2.0}
"""Largest value of the scores whose scale does not end at 1."""


@dataclass(frozen=True, slots=True)
class RepeatedDifference:
    """The first model's score less the second's, over the same J hold-outs of both."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided, of the corrected resampled t test."""


@dataclass(frozen=True, slots=True)
class HoldOuts:
    """The size of each hold-out, and of what is not held out."""

    n_test: int
    n_train: int

    def error(self, values: Floats) -> float:
        """Return the corrected standard error of the mean of scores (J,), J at least 2.

        Never below that of a quarter of an image: equal scores on every hold-out are no proof that there is no spread.
        """
        spread = float(np.sqrt((1 / len(values) + self.n_test / self.n_train) * np.var(values, ddof=1)))
        return max(spread, float(np.sqrt(PULL)) / self.n_test)


def resampled_interval(values: Floats, hold_outs: HoldOuts, confidence: float = 0.95) -> Interval | None:
    """Return the corrected resampled interval of the mean of scores (J,) between 0 and 1; None below two hold-outs."""
    if len(values) < 2:
        return None
    mean = float(np.mean(values))
    half = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * hold_outs.error(values)
    return max(0.0, mean - half), min(1.0, mean + half)


def mean_over_hold_outs(
    means: Sequence[float | None], hold_outs: HoldOuts, scale: float = 1.0, confidence: float = 0.95
) -> tuple[float, Interval] | None:
    """Return the mean of scores of two hold-outs or more, between 0 and `scale`, and its corrected interval.

    None where a score is undefined on some hold-out: a mean of the others would be over other hold-outs than its
    neighbours'.
    """
    known = [mean for mean in means if mean is not None]
    interval = resampled_interval(np.array(known) / scale, hold_outs, confidence)
    if interval is None or len(known) < len(means):
        return None
    return float(np.mean(known)), (scale * interval[0], scale * interval[1])


def repeated_difference(
    first: Floats, second: Floats, hold_outs: HoldOuts, confidence: float = 0.95
) -> RepeatedDifference:
    """Return the difference of two models' scores (J,) on the same hold-outs, J at least 2."""
    gains = first - second
    value, error = float(gains.mean()), hold_outs.error(gains)
    half = float(t.ppf((1 + confidence) / 2, len(gains) - 1)) * error
    p_value = float(2 * t.sf(abs(value) / error, len(gains) - 1))
    return RepeatedDifference(value, max(-1.0, value - half), min(1.0, value + half), p_value)


def smallest_repeated_difference(gains: Floats, hold_outs: HoldOuts, alpha: float, tests: int) -> float | None:
    """Return the true difference that the corrected test at level alpha / tests shows with probability POWER.

    None where it would exceed 1.
    """
    freedom = len(gains) - 1
    found = float(t.isf(alpha / tests / 2, freedom) + t.ppf(POWER, freedom)) * hold_outs.error(gains)
    return found if found <= 1 else None


def rank_spread(scores: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, lowest and highest rank (k,) of k models over J hold-outs, of scores (J, k); rank 1 is the best."""
    ranks = np.asarray(rankdata(-scores, axis=1), dtype=np.float64)
    return ranks.mean(axis=0), ranks.min(axis=0), ranks.max(axis=0)
