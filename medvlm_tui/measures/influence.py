"""Influence of each held-out image on a score: the derivative of the mean over the folds' classifiers by its weight.

The sum of squares of these values is the infinitesimal jackknife's variance of the score (Efron 1982): what the
bootstrap estimates by drawing, without drawing. For AUROC it is the variance of DeLong, DeLong and Clarke-Pearson 1988.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Influence:
    """A score and what its images contribute to its uncertainty."""

    value: float
    """The mean over the folds' classifiers, between 0 and 1."""
    per_image: Floats
    """(n,) derivative of the score by the weight of each image; they sum to 0."""
    assumed_effect: float
    """The design effect (`intervals.design_effect`) of this score for n independent images of these classes."""


def influences(codes: Ints, scores: Floats, positive: int | None) -> Mapping[str, Influence]:
    """Return metric -> influence for classes (n,) and decision values (F, n, k).

    `positive` is the positive class of two, else None. AUROC is missing where no class has members and others.
    """
    k = scores.shape[2]
    predicted = scores.argmax(axis=2)
    right = predicted == codes
    support = np.bincount(codes, minlength=k).astype(np.float64)
    present = support > 0
    balanced = float(len(codes) * (1 / support[present]).sum() / present.sum() ** 2)
    found = {
        "accuracy": Influence(float(right.mean()), (right.mean(axis=0) - right.mean()) / len(codes), 1.0),
        "balanced_accuracy": _balanced_accuracy(codes, right, support, balanced),
        "macro_f1": _macro_f1(codes, predicted, k, balanced),
    }
    if positive is not None:
        found["f1_positive"] = _f1_positive(codes, predicted, positive)
    area = _auroc(codes, scores)
    return found if area is None else {**found, "auroc": area}


def mean_influence(values: Floats) -> Influence:
    """Return the influence of a plain mean of one value between 0 and 1 per image, (n,)."""
    return Influence(float(values.mean()), (values - values.mean()) / len(values), 1.0)


def unit_count(n: int, groups: Ints | None) -> int:
    """Return the number of independent units: groups (n,) where there are some, else images."""
    return n if groups is None else len(np.unique(groups))


def variance(per_image: Floats, strata: Ints | None, groups: Ints | None) -> float:
    """Return the variance of a score from its images' derivatives (n,).

    With `groups` (n,) over whole groups: images of one group are no independent evidence. Else within `strata` (n,),
    the classes whose numbers in a stratified hold-out are fixed; a class with one image counts as it is.
    """
    if groups is not None:
        sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=per_image)
        return float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))
    if strata is None:
        return float((per_image**2).sum() * len(per_image) / max(len(per_image) - 1, 1))
    size = np.bincount(strata)
    mean = np.bincount(strata, weights=per_image) / np.maximum(size, 1)
    centred = np.where(size[strata] > 1, per_image - mean[strata], per_image)
    factor = np.where(size[strata] > 1, size[strata] / np.maximum(size[strata] - 1, 1), 1.0)
    return float((factor * centred**2).sum())


def group_effect(groups: Ints | None) -> float:
    """Return the design effect of groups whose images agree completely: the size of an average image's group."""
    if groups is None:
        return 1.0
    sizes = np.unique(groups, return_counts=True)[1].astype(np.float64)
    return float((sizes**2).sum() / sizes.sum())


def _balanced_accuracy(codes: Ints, right: NDArray[np.bool_], support: Floats, assumed: float) -> Influence:
    present = support > 0
    mean = right.mean(axis=0)
    recall = np.bincount(codes, weights=mean, minlength=len(support)) / np.maximum(support, 1)
    per_image = (mean - recall[codes]) / (present.sum() * support[codes])
    return Influence(float(recall[present].mean()), per_image, assumed)


def _macro_f1(codes: Ints, predicted: Ints, k: int, assumed: float) -> Influence:
    values, moved = [], np.zeros(len(codes))
    for fold in predicted:
        truth, called, f1, size = _f1_parts(codes, fold, k)
        occurs = size > 0
        values.append(float(f1[occurs].mean()))
        moved += _f1_moves(truth, called, f1, size)[:, occurs].mean(axis=1)
    return Influence(float(np.mean(values)), moved / len(predicted), assumed)


def _f1_positive(codes: Ints, predicted: Ints, positive: int) -> Influence:
    values, moved, sizes = [], np.zeros(len(codes)), []
    for fold in predicted:
        truth, called, f1, size = _f1_parts(codes, fold, 2)
        values.append(float(f1[positive]))
        sizes.append(float(size[positive]))
        moved += _f1_moves(truth, called, f1, size)[:, positive]
    # One error of an image takes 1 / size from F1, where size is the true plus the predicted images of the class.
    assumed = len(codes) / max(float(np.mean(sizes)), 1.0)
    return Influence(float(np.mean(values)), moved / len(predicted), assumed)


def _f1_parts(codes: Ints, predicted: Ints, k: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return truth and prediction as (n, k) zeros and ones, F1 (k,) and true plus predicted images (k,)."""
    truth, called = np.eye(k)[codes], np.eye(k)[predicted]
    size = truth.sum(axis=0) + called.sum(axis=0)
    f1 = 2 * (truth * called).sum(axis=0) / np.maximum(size, 1)
    return truth, called, f1, size


def _f1_moves(truth: Floats, called: Floats, f1: Floats, size: Floats) -> Floats:
    """Return (n, k) derivatives of 2 T / (S + P) by the images' weights."""
    moves: Floats = (2 * truth * called - f1 * (truth + called)) / np.maximum(size, 1)
    return moves


def _auroc(codes: Ints, scores: Floats) -> Influence | None:
    n, k = len(codes), scores.shape[2]
    support = np.bincount(codes, minlength=k)
    # The scores of two classes mirror each other: one area says both.
    usable = [c for c in ([1] if k == 2 else range(k)) if 0 < support[c] < n]
    if not usable:
        return None
    areas, moved = [], np.zeros(n)
    for c in usable:
        positive = codes == c
        for fold in scores:
            placed = placements(positive, fold[:, c])
            area = float(placed[positive].mean())
            areas.append(area)
            moved += np.where(positive, (placed - area) / support[c], (placed - area) / (n - support[c]))
    assumed = float(np.mean([n / min(support[c], n - support[c]) for c in usable]))
    return Influence(float(np.mean(areas)), moved / len(areas), assumed)


def placements(positive: NDArray[np.bool_], score: Floats) -> Floats:
    """Return for each image (n,) the share of images of the other side that it is in order with, ties by half.

    Their mean over the positive images, and over the others, is the area under the ROC curve.
    """
    whole = rankdata(score)
    placed = np.empty(len(score))
    n_positive = int(positive.sum())
    placed[positive] = (whole[positive] - rankdata(score[positive])) / (len(score) - n_positive)
    placed[~positive] = 1 - (whole[~positive] - rankdata(score[~positive])) / n_positive
    return placed
