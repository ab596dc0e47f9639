"""Input and result of every protocol of the probe, and the scores that all of them report."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event
from medvlm_tui.engine.datasets.splits.stratified import Split
from medvlm_tui.engine.probe.folds import Problem
from medvlm_tui.engine.probe.solver.choice import Solver
from medvlm_tui.measures import classification
from medvlm_tui.measures.calibration import Platt
from medvlm_tui.stages.params.probe import ProbeParams
from medvlm_tui.stages.records.probe import MetricRecord, ProtocolRecord

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Scores = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Task:
    """One problem under one protocol."""

    problem: Problem
    division: Split
    params: ProbeParams
    positive: int | None
    """The positive class of two, None with more."""
    classes: tuple[str, ...]
    step_id: str
    """For progress events."""
    solver: Solver

    @property
    def truth(self) -> Ints:
        """(n_test,) the classes of the held-out rows."""
        return self.problem.codes[self.division.hold_out]

    @property
    def pool(self) -> Ints:
        """The rows that are not held out, ascending."""
        return np.flatnonzero(self.division.fold >= 0)


@dataclass(frozen=True, slots=True)
class Measured:
    """A protocol's part of the probe's record and arrays (docs/architecture.md)."""

    record: ProtocolRecord
    arrays: Mapping[str, NDArray[Any]]
    warnings: tuple[str, ...] = field(default=())


Measure = Callable[[Task], Generator[Event, None, Measured]]


def spreads(test: Sequence[Scores], validation: Sequence[Scores]) -> dict[str, MetricRecord]:
    """Return metric -> mean, std (ddof 0) and folds of one set of scores per fold; `validation` may be empty."""
    return {
        name: _spread([s[name] for s in test], [s[name] for s in validation] or [None] * len(test)) for name in test[0]
    }


def fold_scores(
    task: Task, test: Sequence[Floats], validation: Sequence[tuple[Ints, Floats]]
) -> dict[str, MetricRecord]:
    """Return the spreads of every fold's decision values: (n_test, k) on the hold-out, (rows, values) in validation.

    A fold's Platt scaling is fitted to its own validation values, so that there is no validation `ece`.
    """
    held, own = [], []
    for values, (rows, known) in zip(test, validation, strict=True):
        codes = task.problem.codes[rows]
        held.append(classification.evaluate(task.truth, values, task.positive, Platt.fit(known, codes)))
        own.append(classification.evaluate(codes, known, task.positive))
    return spreads(held, own)


def pooled_scaling(task: Task, validation: Sequence[tuple[Ints, Floats]]) -> Platt:
    """Return the Platt scaling of the final classifier: fitted to all folds' validation values together."""
    rows = np.concatenate([rows for rows, _ in validation])
    return Platt.fit(np.concatenate([values for _, values in validation]), task.problem.codes[rows])


def fold_arrays(
    task: Task, test: Sequence[Floats], validation: Sequence[tuple[Ints, Floats]], final: Floats
) -> dict[str, NDArray[Any]]:
    """Return split, decision values, predictions and calibrated probabilities as they are stored."""
    n, k = len(task.problem.codes), task.problem.n_classes
    known, predicted = np.full((n, k), np.nan), np.full(n, -1, dtype=np.int16)
    for rows, values in validation:
        known[rows], predicted[rows] = values, values.argmax(axis=1)
    scaled = [
        Platt.fit(own, task.problem.codes[rows]).probabilities(values)
        for values, (rows, own) in zip(test, validation, strict=True)
    ]
    scores = np.stack(test)
    return {
        **split_arrays(task),
        "scores_test": scores,
        "predicted_test": scores.argmax(axis=2).astype(np.int16),
        "probabilities_test": np.stack(scaled).astype(np.float32),
        "scores_validation": known,
        "predicted_validation": predicted,
        "final_scores": final,
        "final_predicted": final.argmax(axis=1).astype(np.int16),
        "final_probabilities": pooled_scaling(task, validation).probabilities(final).astype(np.float32),
    }


def split_arrays(task: Task) -> dict[str, NDArray[Any]]:
    """Return the rows' classes and the split."""
    return {
        "labels": task.problem.codes.astype(np.int16),
        "hold_out": task.division.hold_out,
        "fold": task.division.fold,
    }


def _spread(folds: list[float | None], validation: list[float | None]) -> MetricRecord:
    known = [value for value in folds if value is not None]
    complete = len(known) == len(folds)
    return MetricRecord(
        mean=float(np.mean(known)) if complete else None,
        std=float(np.std(known)) if complete else None,
        folds=tuple(folds),
        validation=tuple(validation),
    )
