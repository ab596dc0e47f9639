"""The distance of confidence from accuracy when images are few, and the one that a calibrated classifier would show.

Fifteen bins of a few images each are rarely right on average even when every probability is: the expected calibration
error (Guo et al. 2017) of a perfectly calibrated classifier is 0.23 on 15 images and 0.15 on 40.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from medvlm_tui.measures.intervals import FEWEST_IMAGES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

BINS = 15
FEWEST_IN_A_BIN = 5


def debiased_calibration_error(confidence: Floats, correct: Mask) -> float:
    """Return the root of `squared_calibration_error`, 0 where that is negative."""
    return float(np.sqrt(max(0.0, squared_calibration_error(confidence, correct))))


def squared_calibration_error(confidence: Floats, correct: Mask) -> float:
    """Return the debiased mean squared gap of confidence and accuracy (Kumar, Liang and Ma 2019); may be negative.

    Up to BINS bins of equal numbers of images, at least FEWEST_IN_A_BIN each where there are as many. From each bin's
    squared gap the variance of its accuracy is taken off, so that a calibrated classifier gets 0 on average.
    """
    n = len(confidence)
    total = 0.0
    for rows in _equal_bins(confidence):
        share = float(correct[rows].mean())
        noise = share * (1 - share) / (len(rows) - 1) if len(rows) > 1 else 0.0
        total += len(rows) / n * ((share - float(confidence[rows].mean())) ** 2 - noise)
    return total


def calibration_error_interval(
    confidence: Floats, correct: Mask, groups: Ints | None = None, level: float = 0.95
) -> tuple[float, float] | None:
    """Return the interval of `debiased_calibration_error`, the mean over F classifiers, of (F, n) values.

    The jackknife's, over images or whole `groups` (n,), of the squared error in bins that stay as they are, with
    Student's quantile; its ends below 0 become 0 before the root. It always holds the mean of the roots. None below
    FEWEST_IMAGES, and where leaving images out changes nothing.
    """
    n = confidence.shape[1]
    members = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(members.max()) + 1 if n else 0
    if n < FEWEST_IMAGES or units < 2:
        return None
    without = np.mean([_left_out(c, r, members) for c, r in zip(confidence, correct, strict=True)], axis=0)
    error = float(np.sqrt((units - 1) / units * ((without - without.mean()) ** 2).sum()))
    if error < 1e-12:
        return None
    squared = [squared_calibration_error(c, r) for c, r in zip(confidence, correct, strict=True)]
    printed = float(np.mean(np.sqrt(np.maximum(squared, 0.0))))
    half = float(t.ppf((1 + level) / 2, units - 1)) * error
    middle = float(np.mean(squared))
    low, high = (float(np.sqrt(max(0.0, end))) for end in (middle - half, middle + half))
    return min(low, printed), max(high, printed)


def _equal_bins(confidence: Floats) -> list[Ints]:
    """Return the rows of each of up to BINS bins of equal numbers of images, by rising confidence."""
    bins = max(1, min(BINS, len(confidence) // FEWEST_IN_A_BIN))
    return np.array_split(np.argsort(confidence, kind="stable"), bins)


def _left_out(confidence: Floats, correct: Mask, members: Ints) -> Floats:
    """Return (units,) the squared error without each unit's images; `members` (n,) is the unit of each image."""
    rows = _equal_bins(confidence)
    bins = np.empty(len(confidence), dtype=np.int64)
    for number, inside in enumerate(rows):
        bins[inside] = number

    def remaining(values: Floats) -> Floats:
        sums = np.zeros((int(members.max()) + 1, len(rows)))
        np.add.at(sums, (members, bins), values)
        found: Floats = sums.sum(axis=0) - sums
        return found

    counts = remaining(np.ones(len(confidence)))
    share, mean = (
        np.divide(remaining(values), counts, out=np.zeros_like(counts), where=counts > 0)
        for values in (correct.astype(np.float64), confidence)
    )
    noise = np.where(counts > 1, share * (1 - share) / np.maximum(counts - 1, 1), 0.0)
    found: Floats = (counts * ((share - mean) ** 2 - noise)).sum(axis=1) / counts.sum(axis=1)
    return found


def calibrated_ece(confidence: Floats, bins: int = BINS) -> float:
    """Return the expected calibration error that a calibrated classifier with these confidences (n,) gets on average.

    Exact: the number of right images in a bin is a sum of independent yes-or-no draws, whose distribution is built by
    convolution.
    """
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    return sum(_mean_gap(confidence[index == b]) for b in np.unique(index)) / len(confidence)


def brier_per_image(probabilities: Floats, codes: Ints) -> Floats:
    """Return (n,) sums over the classes of squared differences of probability (n, k) and outcome: 0 to 2."""
    outcome = np.eye(probabilities.shape[1])[codes]
    found: Floats = ((probabilities - outcome) ** 2).sum(axis=1)
    return found


def calibrated_brier(probabilities: Floats) -> float:
    """Return the Brier score that a calibrated classifier with these probabilities (n, k) gets on average."""
    return float((probabilities * (1 - probabilities)).sum(axis=1).mean())


def _mean_gap(confidence: Floats) -> float:
    """Return the mean of |right images - sum of confidences| where each image is right with its confidence."""
    shares = np.ones(1)
    for p in confidence.tolist():
        shares = np.append(shares * (1 - p), 0.0) + np.append(0.0, shares * p)
    return float(shares @ np.abs(np.arange(len(shares)) - confidence.sum()))
