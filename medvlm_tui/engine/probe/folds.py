"""One fold of the probe: scaler and SVM fitted on its training part, for every t of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.probe.solver import svm
from medvlm_tui.engine.probe.solver.choice import Solver
from medvlm_tui.errors import UsageError
from medvlm_tui.measures import classification
from medvlm_tui.stages.protocols import PAPER_T_GRID

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# The values that the paper's grid lacks: there the classifier's margin is soft.
SOFT_T_GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
TUNED_T_GRID = (*SOFT_T_GRID, *PAPER_T_GRID)


@dataclass(frozen=True, slots=True)
class Problem:
    """Features to be classified, and their classes."""

    features: NDArray[np.float32]
    """(n, d)"""
    codes: Ints
    """(n,) classes 0 .. n_classes - 1."""
    n_classes: int


@dataclass(frozen=True, slots=True)
class FoldFit:
    """The classifiers of one fold, one for each t."""

    validation_rows: Ints
    scaler: Scaler
    path: svm.SvmPath
    train_error: Floats
    """(T,) share of the training part that is classified wrongly."""
    validation_scores: Floats
    """(T, n_validation, k)"""
    validation_macro_f1: Floats
    """(T,)"""

    def classifier(self, index: int) -> Classifier:
        """Return the classifier of one t."""
        return Classifier(self.scaler, self.path.coef[index], self.path.intercept[index])


def t_grid(protocol: str, dim: int) -> tuple[float, ...]:
    """Return the values of t, where C = t d / N with N the fold's training size.

    `paper` and `tuned` are grids, `grouped` differs from `paper` in its split alone; `poster` sets C = 100 / N, which
    is the one value t = 100 / d.
    """
    grids = {"paper": PAPER_T_GRID, "poster": (100.0 / dim,), "tuned": TUNED_T_GRID, "grouped": PAPER_T_GRID}
    if protocol not in grids:
        raise UsageError(f"unknown protocol {protocol}", f"choose from {', '.join(grids)}")
    return grids[protocol]


def costs(grid: Sequence[float], dim: int, n_train: int) -> tuple[float, ...]:
    """Return C = t d / N for each t."""
    return tuple(t * dim / n_train for t in grid)


def fit_fold(
    problem: Problem,
    train: Ints,
    validation: Ints,
    grid: Sequence[float],
    solver: Solver,
    like: FoldFit | None = None,
) -> FoldFit:
    """Fit on the rows `train` and score the rows `validation`.

    `like` is a fold fitted before, whose solution for the smallest t saves a third of the steps.
    """
    scaler = Scaler.fit(problem.features[train].astype(np.float64))
    x, codes = scaler.apply(problem.features[train]), problem.codes[train]
    start = None if like is None else (like.path.coef[0], like.path.intercept[0])
    path = solver.path(x, codes, problem.n_classes, costs(grid, x.shape[1], len(train)), start)
    wrong = [(_predict(x, path, i) != codes).mean() for i in range(len(grid))]
    held = scaler.apply(problem.features[validation])
    scores = np.stack([svm.decision_values(held, path.coef[i], path.intercept[i]) for i in range(len(grid))])
    truth = problem.codes[validation]
    f1 = [
        float(classification.macro_f1(classification.confusion(truth, s.argmax(axis=1), problem.n_classes)))
        for s in scores
    ]
    return FoldFit(validation, scaler, path, np.array(wrong), scores, np.array(f1))


def choose_t(validation_macro_f1: Floats) -> int:
    """Return the index of the largest mean over the folds of (T, F) scores; ties go to the smallest t."""
    mean = validation_macro_f1.mean(axis=1)
    return int(np.flatnonzero(mean >= mean.max() - 1e-12)[0])


def is_separated(train_error: Floats) -> bool:
    """Return whether no training image is classified wrongly at any t, (T, F) training errors.

    One value is no grid, and is never called separated or saturated.
    """
    return len(train_error) > 1 and not train_error.any()


def is_saturated(folds: Sequence[FoldFit], hold_out: NDArray[np.float32]) -> bool:
    """Return whether the choice of t has no effect: no training error at any t, and no predicted label on a fold's
    validation part or on the hold-out, features (n_test, d), that depends on t.

    No training error alone is not a hard margin: there the choice of t may still change predictions.
    """
    return is_separated(np.stack([fold.train_error for fold in folds], axis=1)) and not any(
        _moves(fold, hold_out) for fold in folds
    )


def _moves(fold: FoldFit, hold_out: NDArray[np.float32]) -> bool:
    """Return whether a predicted label of a fold differs between two values of t."""
    validation = fold.validation_scores.argmax(axis=2)
    if (validation != validation[0]).any():
        return True
    features = fold.scaler.apply(hold_out)
    first = _predict(features, fold.path, 0)
    return any((_predict(features, fold.path, i) != first).any() for i in range(1, len(fold.train_error)))


def _predict(features: Floats, path: svm.SvmPath, index: int) -> Ints:
    values = svm.decision_values(features, path.coef[index], path.intercept[index])
    predicted: Ints = values.argmax(axis=1)
    return predicted
