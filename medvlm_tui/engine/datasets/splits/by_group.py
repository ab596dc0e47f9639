"""Hold-out and folds that keep a group (patient, slide, lesion, near-duplicates) on one side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.datasets.splits.stratified import Split, check_params
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.params.probe import SplitParams

_LARGEST_DENOMINATOR = 10


def split_by_group(labels: Sequence[str], groups: Sequence[str], params: SplitParams) -> Split:
    """Draw hold-out and folds by scikit-learn's StratifiedGroupKFold (shuffled, `params.seed`).

    An image without a group ("") is a group of its own. The hold-out is made of m of k such folds, m / k the fraction
    nearest to `params.hold_out` with k <= 10: those whose class counts come nearest to it. Raises MedvlmError when no
    image has a group, and when a class is missing from the hold-out or from a fold's training part.
    """
    check_params(params)
    if not any(groups):
        raise MedvlmError("the dataset names no groups", "use a protocol without groups, or give a group column")
    y = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]
    group = _numbers(groups)
    hold_out = _hold_out(y, group, params)
    rest = np.setdiff1d(np.arange(len(y)), hold_out)
    fold = np.full(len(y), -1, dtype=np.int8)
    for number, validation in enumerate(_folds(y[rest], group[rest], params.folds, params.seed)):
        fold[rest[validation]] = number
    drawn = Split(hold_out, fold)
    _check_classes(labels, y, group, drawn, params)
    return drawn


def _numbers(groups: Sequence[str]) -> NDArray[np.int64]:
    """Return (n,) group numbers; each empty name gets its own."""
    named = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1].astype(np.int64)
    alone = np.array([not name for name in groups])
    named[alone] = len(groups) + np.arange(alone.sum())
    return named


def _folds(y: NDArray[np.int64], group: NDArray[np.int64], folds: int, seed: int) -> list[NDArray[np.int64]]:
    if len(np.unique(group)) < folds:
        raise MedvlmError(
            f"{len(np.unique(group))} groups cannot be divided into {folds} folds", "lower --folds, or split by image"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # It warns when a class has fewer images than folds; `_check_classes` decides about that.
        warnings.simplefilter("ignore", UserWarning)
        try:
            return [part for _, part in splitter.split(np.zeros(len(y)), y, group)]
        except ValueError as error:
            raise MedvlmError(f"no split by group: {error}", "lower --folds, or split by image") from error


def _hold_out(y: NDArray[np.int64], group: NDArray[np.int64], params: SplitParams) -> NDArray[np.int64]:
    share = Fraction(params.hold_out).limit_denominator(_LARGEST_DENOMINATOR)
    share = min(max(share, Fraction(1, _LARGEST_DENOMINATOR)), 1 - Fraction(1, _LARGEST_DENOMINATOR))
    parts = _folds(y, group, share.denominator, params.seed)
    target = np.bincount(y) / share.denominator

    def distance(part: NDArray[np.int64]) -> float:
        counts = np.bincount(y[part], minlength=len(target))
        # A hold-out without one of the classes is worse than any with all of them.
        return float(np.abs(counts - target).sum() + len(y) * np.sum(counts == 0))

    nearest = sorted(parts, key=distance)[: share.numerator]
    return np.sort(np.concatenate(nearest)).astype(np.int64)


def _check_classes(
    labels: Sequence[str], y: NDArray[np.int64], group: NDArray[np.int64], drawn: Split, params: SplitParams
) -> None:
    names = np.unique(np.asarray(labels, dtype=str))
    parts = [drawn.hold_out, *(drawn.training(fold) for fold in range(params.folds))]
    absent = sorted({k for part in parts for k in set(range(len(names))) - set(y[part])})
    if absent:
        listed = ", ".join(f"{clean(str(names[k]))} {len(np.unique(group[y == k]))}" for k in absent)
        raise MedvlmError(
            f"too few groups of a class for {params.folds} folds and a hold-out: {listed}",
            "every class needs groups in the hold-out and in each training part: lower --folds, or split by image",
        )
