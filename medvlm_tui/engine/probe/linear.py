"""The linear SVM protocols: cross-validated over a grid of t, scored on the hold-out, fitted once more on all else."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, StepProgress
from medvlm_tui.engine.probe import folds as cv
from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.probe.protocol import Floats, Ints, Measured, Task, fold_arrays, fold_scores, pooled_scaling
from medvlm_tui.engine.probe.solver import svm
from medvlm_tui.measures import classification
from medvlm_tui.stages.protocols import SATURATED, SEPARATED
from medvlm_tui.stages.records.probe import MetricRecord, ProtocolRecord, TunedRecord

# The protocols of the paper's grid, which may lie wholly at too large t: they tell what the tuned one would choose.
_PAPER_GRID = ("paper", "grouped")


@dataclass(frozen=True, slots=True)
class Fitted:
    """Everything that was computed."""

    task: Task
    grid: tuple[float, ...]
    chosen: int
    """Index into `grid`."""
    folds: tuple[cv.FoldFit, ...]
    final: Classifier
    final_converged: bool
    tuned: tuple[float, float] | None
    """The t that the tuned grid would choose where the paper's grid has no training error, and the mean validation
    macro F1 for which it would be chosen, the largest of ten."""
    saturated: bool

    @property
    def classifiers(self) -> tuple[Classifier, ...]:
        """The folds' classifiers at the chosen t."""
        return tuple(fold.classifier(self.chosen) for fold in self.folds)

    @property
    def validation(self) -> list[tuple[Ints, Floats]]:
        """Each fold's validation rows and their decision values at the chosen t."""
        return [(fold.validation_rows, fold.validation_scores[self.chosen]) for fold in self.folds]

    def test(self) -> list[Floats]:
        """Return each fold's decision values (n_test, k) of the hold-out at the chosen t."""
        features = self.task.problem.features[self.task.division.hold_out]
        return [classifier.scores(features) for classifier in self.classifiers]

    def over_grid(self, name: str) -> Floats:
        """Return a (T, F) table of a fold's per-t values."""
        return np.stack([getattr(fold, name) for fold in self.folds], axis=1)


def measure(task: Task) -> Generator[Event, None, Measured]:
    """Yield progress; return the record and arrays of a protocol with a grid of t."""
    fitted = yield from _fit(task)
    test, validation = fitted.test(), fitted.validation
    final = fitted.final.scores(task.problem.features[task.division.hold_out])
    scores = fold_scores(task, test, validation)
    of_final = classification.evaluate(task.truth, final, task.positive, pooled_scaling(task, validation))
    record = _record(fitted, scores, of_final)
    arrays = {**fold_arrays(task, test, validation, final), **_solutions(fitted)}
    return Measured(record, arrays, _warnings(fitted))


def _fit(task: Task) -> Generator[Event, None, Fitted]:
    grid = cv.t_grid(task.params.protocol, task.problem.features.shape[1])
    folds: list[cv.FoldFit] = []
    total = task.params.split.folds + 1
    for fold in range(task.params.split.folds):
        yield StepProgress(task.step_id, fold, total, unit="folds")
        rows = (task.division.training(fold), task.division.validation(fold))
        folds.append(cv.fit_fold(task.problem, *rows, grid, task.solver, folds[-1] if folds else None))
    yield StepProgress(task.step_id, total - 1, total, unit="folds")
    chosen = cv.choose_t(np.stack([fold.validation_macro_f1 for fold in folds], axis=1))
    final, converged = _final(task, grid[chosen], folds[-1].path, chosen)
    tuned = _tuned(task, folds) if task.params.protocol in _PAPER_GRID else None
    saturated = cv.is_saturated(folds, task.problem.features[task.division.hold_out])
    yield StepProgress(task.step_id, total, total, unit="folds")
    return Fitted(task, grid, chosen, tuple(folds), final, converged, tuned, saturated)


def _tuned(task: Task, folds: list[cv.FoldFit]) -> tuple[float, float] | None:
    """Return what the tuned grid would choose and its mean validation macro F1, None where there is training error."""
    if not cv.is_separated(np.stack([fold.train_error for fold in folds], axis=1)):
        return None
    scores = []
    for number, fold in enumerate(folds):
        rows = (task.division.training(number), task.division.validation(number))
        soft = cv.fit_fold(task.problem, *rows, cv.SOFT_T_GRID, task.solver)
        scores.append(np.concatenate([soft.validation_macro_f1, fold.validation_macro_f1]))
    table = np.stack(scores, axis=1)
    best = cv.choose_t(table)
    return cv.TUNED_T_GRID[best], float(table[best].mean())


def _final(task: Task, t: float, like: svm.SvmPath, chosen: int) -> tuple[Classifier, bool]:
    """Fit scaler and SVM on everything that is not held out: what saliency and new images use."""
    rows = task.pool
    scaler = Scaler.fit(task.problem.features[rows].astype(np.float64))
    x, codes = scaler.apply(task.problem.features[rows]), task.problem.codes[rows]
    start = (like.coef[chosen], like.intercept[chosen])
    path = task.solver.path(x, codes, task.problem.n_classes, cv.costs([t], x.shape[1], len(rows)), start)
    return Classifier(scaler, path.coef[0], path.intercept[0]), bool(path.converged[0])


def _record(fitted: Fitted, scores: Mapping[str, MetricRecord], final: Mapping[str, float | None]) -> ProtocolRecord:
    """Return the scores beside what there is to say of the grid and the solver."""
    problem, t = fitted.task.problem, fitted.grid[fitted.chosen]
    norms = np.stack([fold.path.gradient_norm.max(axis=1) for fold in fitted.folds], axis=1)
    return ProtocolRecord(
        metrics=scores,
        final_metrics=final,
        t_grid=tuple(fitted.grid),
        t=t,
        c=cv.costs([t], problem.features.shape[1], len(fitted.task.pool))[0],
        separated=cv.is_separated(fitted.over_grid("train_error")),
        saturated=fitted.saturated,
        tuned=None if fitted.tuned is None else TunedRecord(t=fitted.tuned[0], validation_macro_f1=fitted.tuned[1]),
        converged=tuple(map(tuple, _converged(fitted).tolist())),
        gradient_norm=tuple(map(tuple, norms.tolist())),
        final_converged=fitted.final_converged,
    )


def _converged(fitted: Fitted) -> NDArray[np.bool_]:
    return np.stack([fold.path.converged for fold in fitted.folds], axis=1)


def _warnings(fitted: Fitted) -> tuple[str, ...]:
    notes = []
    if fitted.tuned is not None:
        here = fitted.over_grid("validation_macro_f1")[fitted.chosen].mean()
        notes.append(
            f"{f't is {SATURATED}' if fitted.saturated else SEPARATED}; the tuned grid would choose "
            f"t = {fitted.tuned[0]:g}: validation macro F1 {fitted.tuned[1]:.3f}, the largest of "
            f"{len(cv.TUNED_T_GRID)}, here {here:.3f}"
        )
    fits = _converged(fitted)
    stopped = int((~fits).sum()) + (not fitted.final_converged)
    if stopped:
        notes.append(f"the solver did not reach the optimum in {stopped} of {fits.size + 1} fits")
    return tuple(notes)


def _solutions(fitted: Fitted) -> Mapping[str, NDArray[Any]]:
    classifiers = fitted.classifiers
    return {
        "validation_macro_f1": fitted.over_grid("validation_macro_f1"),
        "train_error": fitted.over_grid("train_error"),
        "coef": np.stack([c.coef for c in classifiers]),
        "intercept": np.stack([c.intercept for c in classifiers]),
        "mean": np.stack([c.scaler.mean for c in classifiers]),
        "scale": np.stack([c.scaler.scale for c in classifiers]),
        "final_coef": fitted.final.coef,
        "final_intercept": fitted.final.intercept,
        "final_mean": fitted.final.scaler.mean,
        "final_scale": fitted.final.scaler.scale,
    }
