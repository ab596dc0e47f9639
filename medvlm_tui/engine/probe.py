"""The study's classification: hold-out, cross-validated linear SVM, metrics with their own spreads."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.params import ProbeParams
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.engine import crossvalidation as cv
from medvlm_tui.engine import metrics, summaries, svm
from medvlm_tui.engine.calibration import Platt
from medvlm_tui.engine.classifier import Classifier, Scaler
from medvlm_tui.engine.datasets.splits import Split, split
from medvlm_tui.engine.step_inputs import Labelled, feature_table, probe_params
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.versions import versions
from medvlm_tui.errors import DatasetError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Everything the probe computed."""

    problem: cv.Problem
    division: Split
    grid: tuple[float, ...]
    chosen: int
    """Index into `grid`."""
    folds: tuple[cv.FoldFit, ...]
    final: Classifier
    final_converged: bool
    tuned: tuple[float, float] | None
    """Where the paper's grid is saturated: the t that the tuned grid would choose, its mean validation macro F1."""

    @property
    def classifiers(self) -> tuple[Classifier, ...]:
        """The folds' classifiers at the chosen t."""
        return tuple(fold.classifier(self.chosen) for fold in self.folds)

    def over_grid(self, name: str) -> Floats:
        """Return a (T, F) table of a fold's per-t values."""
        return np.stack([getattr(fold, name) for fold in self.folds], axis=1)


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Fit and score the classifiers of one model on one dataset; raises MedvlmError on unusable features."""
    begun = time.monotonic()
    table = feature_table(job, context)
    labelled = Labelled.of(table, job.dataset.classes)
    if len(labelled.classes) < 2:
        raise DatasetError(
            f"{job.step.dataset} has only one class ({labelled.classes[0]}): there is nothing to tell apart",
            "choose another label view, or add images of a second class",
        )
    params = probe_params(job.step.params)
    problem = cv.Problem(np.asarray(table.matrix), labelled.codes, len(labelled.classes))
    fitted = yield from _fit(problem, split(table.labels, params.split), params, job, context)
    positive = _positive(labelled.classes, job.dataset.spec.positive)
    record = {
        **_description(table, job, params, labelled.classes, positive),
        **_outcome(fitted, positive),
        "warnings": _warnings(table, job, labelled.classes, fitted),
        "versions": versions("numpy", "scipy", "scikit-learn"),
        "seconds": time.monotonic() - begun,
    }
    context.store.put_result(job.step.key, _arrays(fitted), record)
    shown = summaries.of_record("probe", record)
    yield ResultReady(job.step.id, "probe", job.step.key, job.step.model, job.step.dataset, shown)


def _fit(
    problem: cv.Problem, division: Split, params: ProbeParams, job: Job, context: StepContext
) -> Generator[Event, None, Fitted]:
    """Yield progress; return the Fitted."""
    grid = cv.t_grid(params.protocol, problem.features.shape[1])
    folds: list[cv.FoldFit] = []
    total = params.split.folds + 1
    for fold in range(params.split.folds):
        yield StepProgress(job.step.id, fold, total, unit="folds")
        rows = (division.training(fold), division.validation(fold))
        folds.append(cv.fit_fold(problem, *rows, grid, context.check, folds[-1] if folds else None))
    yield StepProgress(job.step.id, total - 1, total, unit="folds")
    chosen = cv.choose_t(np.stack([fold.validation_macro_f1 for fold in folds], axis=1))
    final, converged = _final(problem, np.flatnonzero(division.fold >= 0), grid[chosen], context)
    tuned = _tuned(problem, division, folds, context) if params.protocol == "paper" else None
    yield StepProgress(job.step.id, total, total, unit="folds")
    return Fitted(problem, division, grid, chosen, tuple(folds), final, converged, tuned)


def _tuned(
    problem: cv.Problem, division: Split, folds: Sequence[cv.FoldFit], context: StepContext
) -> tuple[float, float] | None:
    """Return what the tuned grid would choose and its mean validation macro F1, None unless all is saturated."""
    if not cv.is_saturated(np.stack([fold.train_error for fold in folds], axis=1)):
        return None
    scores = []
    for number, fold in enumerate(folds):
        rows = (division.training(number), division.validation(number))
        soft = cv.fit_fold(problem, *rows, cv.SOFT_T_GRID, context.check)
        scores.append(np.concatenate([soft.validation_macro_f1, fold.validation_macro_f1]))
    table = np.stack(scores, axis=1)
    best = cv.choose_t(table)
    return cv.TUNED_T_GRID[best], float(table[best].mean())


def _final(problem: cv.Problem, rows: Ints, t: float, context: StepContext) -> tuple[Classifier, bool]:
    """Fit scaler and SVM on everything that is not held out: what saliency and new images use."""
    scaler = Scaler.fit(problem.features[rows].astype(np.float64))
    x = scaler.apply(problem.features[rows])
    path = svm.solve_path(
        x, problem.codes[rows], problem.n_classes, cv.costs([t], x.shape[1], len(rows)), context.check
    )
    return Classifier(scaler, path.coef[0], path.intercept[0]), bool(path.converged[0])


def _positive(classes: Sequence[str], named: str) -> int | None:
    """Return the positive class of two: the one the dataset names, else the last; None with more classes."""
    if len(classes) != 2:
        return None
    return classes.index(named) if named in classes else 1


def _description(
    table: FeatureTable, job: Job, params: ProbeParams, classes: Sequence[str], positive: int | None
) -> dict[str, Any]:
    return {
        "classes": list(classes),
        "protocol": params.protocol,
        "label_view": job.dataset.view,
        "d": int(table.matrix.shape[1]),
        "positive": "" if positive is None else classes[positive],
        "seed": params.split.seed,
        "split": asdict(params.split),
    }


def _outcome(fitted: Fitted, positive: int | None) -> dict[str, Any]:
    """Return the part of the record that holds numbers."""
    rows = fitted.division.hold_out
    truth, features = fitted.problem.codes[rows], fitted.problem.features[rows]
    pooled = np.concatenate([fold.validation_scores[fitted.chosen] for fold in fitted.folds])
    pooled_rows = np.concatenate([fold.validation_rows for fold in fitted.folds])
    calibration = Platt.fit(pooled, fitted.problem.codes[pooled_rows])
    n_train, t = int((fitted.division.fold >= 0).sum()), fitted.grid[fitted.chosen]
    return {
        "t_grid": list(fitted.grid),
        "t": t,
        "c": cv.costs([t], features.shape[1], n_train)[0],
        "saturated": cv.is_saturated(fitted.over_grid("train_error")),
        "tuned": None if fitted.tuned is None else {"t": fitted.tuned[0], "validation_macro_f1": fitted.tuned[1]},
        "metrics": _fold_metrics(fitted, positive),
        "final_metrics": metrics.evaluate(truth, fitted.final.scores(features), positive, calibration),
        "n_train": n_train,
        "n_test": len(rows),
        "converged": _converged(fitted).tolist(),
        "gradient_norm": np.stack([fold.path.gradient_norm.max(axis=1) for fold in fitted.folds], axis=1).tolist(),
        "final_converged": fitted.final_converged,
    }


def _fold_metrics(fitted: Fitted, positive: int | None) -> dict[str, Any]:
    """Return {metric: mean, std (ddof 0, over the folds' hold-out scores), folds, validation}.

    A fold's Platt scaling is fitted to its own validation scores, so that there is no validation `ece`.
    """
    rows = fitted.division.hold_out
    features, truth = fitted.problem.features[rows], fitted.problem.codes[rows]
    test, validation = [], []
    for fold, classifier in zip(fitted.folds, fitted.classifiers, strict=True):
        scores, codes = fold.validation_scores[fitted.chosen], fitted.problem.codes[fold.validation_rows]
        calibration = Platt.fit(scores, codes)
        test.append(metrics.evaluate(truth, classifier.scores(features), positive, calibration))
        validation.append(metrics.evaluate(codes, scores, positive))
    return {name: _spread([s[name] for s in test], [s[name] for s in validation]) for name in test[0]}


def _spread(folds: list[float | None], validation: list[float | None]) -> dict[str, Any]:
    known = [value for value in folds if value is not None]
    complete = len(known) == len(folds)
    return {
        "mean": float(np.mean(known)) if complete else None,
        "std": float(np.std(known)) if complete else None,
        "folds": folds,
        "validation": validation,
    }


def _converged(fitted: Fitted) -> NDArray[np.bool_]:
    return np.stack([fold.path.converged for fold in fitted.folds], axis=1)


def _warnings(table: FeatureTable, job: Job, classes: Sequence[str], fitted: Fitted) -> list[str]:
    notes = list(job.dataset.warnings)
    missing = [name for name in (table.classes or job.dataset.classes) if name not in classes]
    if missing:
        notes.append(f"no readable image of {', '.join(missing)}: left out of the classes")
    if table.failed:
        notes.append(f"{len(table.failed)} images could not be read and take no part")
    if fitted.tuned is not None:
        here = fitted.over_grid("validation_macro_f1")[fitted.chosen].mean()
        notes.append(
            f"the grid of t is saturated (no training error at any t); the tuned grid would choose t = "
            f"{fitted.tuned[0]:g}: validation macro F1 {fitted.tuned[1]:.3f}, here {here:.3f}"
        )
    fits = _converged(fitted)
    stopped = int((~fits).sum()) + (not fitted.final_converged)
    if stopped:
        notes.append(f"the solver did not reach the optimum in {stopped} of {fits.size + 1} fits")
    return notes


def _arrays(fitted: Fitted) -> dict[str, NDArray[Any]]:
    """Return the arrays of docs/architecture.md, and `labels` (n,), the class of every row."""
    rows, n = fitted.division.hold_out, len(fitted.problem.codes)
    features, classifiers = fitted.problem.features[rows], fitted.classifiers
    test = np.stack([classifier.scores(features) for classifier in classifiers])
    final = fitted.final.scores(features)
    validation = np.full((n, fitted.problem.n_classes), np.nan)
    predicted = np.full(n, -1, dtype=np.int16)
    for fold in fitted.folds:
        validation[fold.validation_rows] = fold.validation_scores[fitted.chosen]
        predicted[fold.validation_rows] = fold.validation_scores[fitted.chosen].argmax(axis=1)
    return {
        "labels": fitted.problem.codes.astype(np.int16),
        "hold_out": rows,
        "fold": fitted.division.fold,
        "scores_test": test,
        "predicted_test": test.argmax(axis=2).astype(np.int16),
        "scores_validation": validation,
        "predicted_validation": predicted,
        "final_scores": final,
        "final_predicted": final.argmax(axis=1).astype(np.int16),
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
