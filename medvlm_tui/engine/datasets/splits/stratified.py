"""Hold-out and folds: stratified, seeded, a function of the labels alone, so that every model sees the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError, UsageError
from medvlm_tui.stages.params.probe import SplitParams


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows are held out, and in which fold each other row is validated."""

    hold_out: NDArray[np.int64]
    """(n_test,) row indices, ascending."""
    fold: NDArray[np.int8]
    """(n,) 0 to folds - 1; -1 for held-out rows."""

    def training(self, fold: int) -> NDArray[np.int64]:
        """Rows that the classifier of `fold` is fitted on."""
        return np.flatnonzero((self.fold >= 0) & (self.fold != fold))

    def validation(self, fold: int) -> NDArray[np.int64]:
        """Rows that the classifier of `fold` is validated on."""
        return np.flatnonzero(self.fold == fold)


def split(labels: Sequence[str] | NDArray[np.str_], params: SplitParams) -> Split:
    """Draw the stratified hold-out, then stratified folds of the rest.

    scikit-learn's StratifiedShuffleSplit and StratifiedKFold (shuffled), both with `params.seed`. Raises UsageError
    for parameters outside their range, MedvlmError for a class too small to be in the hold-out and in every fold.
    """
    check_params(params)
    y = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]
    names = np.unique(np.asarray(labels, dtype=str))
    hold_out = _hold_out(y, names, params)
    fold = np.full(len(y), -1, dtype=np.int8)
    rest = np.setdiff1d(np.arange(len(y)), hold_out)
    folds = StratifiedKFold(params.folds, shuffle=True, random_state=params.seed)
    for number, (_, validation) in enumerate(folds.split(np.zeros(len(rest)), y[rest])):
        fold[rest[validation]] = number
    return Split(hold_out, fold)


def check_params(params: SplitParams) -> None:
    """Raise UsageError for parameters outside their range."""
    if not 0 < params.hold_out < 1:
        raise UsageError(f"a hold-out of {params.hold_out} is no share of the images", "choose one between 0 and 1")
    if not 2 <= params.folds <= 100:
        raise UsageError(f"{params.folds} folds cannot be made", "choose 2 to 100")


def _hold_out(y: NDArray[np.int64], names: NDArray[np.str_], params: SplitParams) -> NDArray[np.int64]:
    counts = np.bincount(y, minlength=len(names))
    if len(names) < 2:
        raise MedvlmError("a split needs two classes or more", "add images of another class")
    if counts.min() <= params.folds:
        raise _too_small(names, counts, counts <= params.folds, params)
    shuffle = StratifiedShuffleSplit(1, test_size=params.hold_out, random_state=params.seed)
    try:
        held = np.sort(next(shuffle.split(np.zeros(len(y)), y))[1])
    except ValueError as error:
        raise MedvlmError(f"no hold-out of {params.hold_out:g}: {error}", "choose another --hold-out") from error
    held_counts = np.bincount(y[held], minlength=len(names))
    short = (held_counts < 1) | (counts - held_counts < params.folds)
    if short.any():
        raise _too_small(names, counts, short, params)
    return np.asarray(held, dtype=np.int64)


def _too_small(
    names: NDArray[np.str_], counts: NDArray[np.int64], short: NDArray[np.bool_], params: SplitParams
) -> MedvlmError:
    listed = ", ".join(f"{clean(str(names[i]))} {counts[i]}" for i in np.flatnonzero(short))
    return MedvlmError(
        f"too few images for {params.folds} folds and a hold-out of {params.hold_out:.0%}: {listed}",
        f"every class needs one held-out image and {params.folds} others: add images, or change --folds or --hold-out",
    )
