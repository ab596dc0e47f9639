"""Scores of a classifier: those of its confusion matrix, AUROC, and how far its probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from medvlm_tui.measures import CALIBRATION
from medvlm_tui.measures.calibration import Platt, expected_calibration_error
from medvlm_tui.measures.calibration_error import (
    brier_per_image,
    calibrated_brier,
    calibrated_ece,
    debiased_calibration_error,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def confusion(codes: Ints, predicted: Ints, n_classes: int) -> Floats:
    """Return the (k, k) counts of (true class, predicted class)."""
    cells = np.bincount(codes * n_classes + predicted, minlength=n_classes * n_classes)
    return cells.reshape(n_classes, n_classes).astype(np.float64)


def accuracy(matrix: Floats) -> Floats:
    """Return the share on the diagonal of (..., k, k) counts."""
    diagonal = np.einsum("...ii->...", matrix)
    return _ratio(diagonal, matrix.sum(axis=(-2, -1)))


def balanced_accuracy(matrix: Floats) -> Floats:
    """Return the mean recall over the classes that occur in the truth, of (..., k, k) counts."""
    support = matrix.sum(axis=-1)
    recall = _ratio(np.einsum("...ii->...i", matrix), support)
    return _ratio(recall.sum(axis=-1), (support > 0).sum(axis=-1))


def macro_f1(matrix: Floats) -> Floats:
    """Return the mean F1 over the classes that occur in truth or prediction (as scikit-learn), of (..., k, k)."""
    occurs = (matrix.sum(axis=-1) + matrix.sum(axis=-2)) > 0
    return _ratio(class_f1(matrix).sum(axis=-1), occurs.sum(axis=-1))


def class_f1(matrix: Floats) -> Floats:
    """Return (..., k) F1 of each class of (..., k, k) counts; 0 for a class that does not occur."""
    diagonal = np.einsum("...ii->...i", matrix)
    return _ratio(2 * diagonal, matrix.sum(axis=-1) + matrix.sum(axis=-2))


def from_confusion(positive: int | None) -> Mapping[str, Callable[[Floats], Floats]]:
    """Return the metrics that a confusion matrix decides; `positive` is a class when there are two, else None."""
    table = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
    if positive is not None:
        table["f1_positive"] = lambda matrix: class_f1(matrix)[..., positive]
    return table


def auroc(codes: Ints, scores: Floats) -> float | None:
    """Return the area under the ROC curve of decision values (n, k), or None where it is undefined.

    One-vs-rest, the mean over classes with both members and others in `codes`. With two classes, whose scores
    mirror each other, both areas are the same, so that the mean is the usual binary one.
    """
    areas = [_area(codes == c, scores[:, c]) for c in range(scores.shape[1])]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else None


def evaluate(
    codes: Ints, scores: Floats, positive: int | None, calibration: Platt | None = None
) -> dict[str, float | None]:
    """Return every metric of decision values (n, k) that is defined here; the others are None.

    The predicted class is the one with the largest decision value. The CALIBRATION measures need Platt's
    probabilities: `ece` compares that of the predicted class with how often the class is right, `ece_calibrated` is
    what `ece` would be on average if these probabilities were true, `ece_debiased` is free of that part, `brier` is
    the squared distance of probabilities and outcome (0 to 2).
    """
    predicted = scores.argmax(axis=1)
    matrix = confusion(codes, predicted, scores.shape[1])
    values: dict[str, float | None] = {name: float(f(matrix)) for name, f in from_confusion(positive).items()}
    values["auroc"] = auroc(codes, scores)
    if calibration is None:
        return {**values, **dict.fromkeys(CALIBRATION)}
    return {**values, **_calibration(codes, predicted, calibration.probabilities(scores))}


def _calibration(codes: Ints, predicted: Ints, probabilities: Floats) -> dict[str, float]:
    """Return the calibration measures of probabilities (n, k), each beside what a calibrated classifier would get."""
    confidence, correct = probabilities[np.arange(len(codes)), predicted], predicted == codes
    return {
        "ece": expected_calibration_error(confidence, correct),
        "ece_calibrated": calibrated_ece(confidence),
        "ece_debiased": debiased_calibration_error(confidence, correct),
        "brier": float(brier_per_image(probabilities, codes).mean()),
        "brier_calibrated": calibrated_brier(probabilities),
    }


def _area(positive: NDArray[np.bool_], score: Floats) -> float | None:
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return None
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def _ratio(top: Floats, bottom: NDArray[np.float64] | NDArray[np.int64]) -> Floats:
    result: Floats = np.divide(top, bottom, out=np.zeros_like(top, dtype=np.float64), where=bottom > 0)
    return result
