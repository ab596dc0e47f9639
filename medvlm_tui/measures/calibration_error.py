"""The distance of confidence from accuracy when images are few, and the one that a calibrated classifier would show.

Fifteen bins of a few images each are rarely right on average even when every probability is: the expected calibration
error (Guo et al. 2017) of a perfectly calibrated classifier is 0.23 on 15 images and 0.15 on 40.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    order = np.argsort(confidence, kind="stable")
    total = 0.0
    for rows in np.array_split(order, max(1, min(BINS, n // FEWEST_IN_A_BIN))):
        share = float(correct[rows].mean())
        noise = share * (1 - share) / (len(rows) - 1) if len(rows) > 1 else 0.0
        total += len(rows) / n * ((share - float(confidence[rows].mean())) ** 2 - noise)
    return total


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
