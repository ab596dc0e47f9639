"""The reading without a classifier: the votes of the k nearest training images by cosine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np

from medvlm_tui.core.events import Event, StepProgress
from medvlm_tui.engine.features.exact_neighbours import nearest_rows, wide_unit_rows
from medvlm_tui.engine.probe import folds as cv
from medvlm_tui.engine.probe.protocol import (
    Floats,
    Ints,
    Measured,
    Task,
    fold_arrays,
    fold_scores,
    pooled_scaling,
)
from medvlm_tui.measures import classification
from medvlm_tui.stages.protocols import NEIGHBOR_COUNTS
from medvlm_tui.stages.records.probe import ProtocolRecord, ReadingRecord


def measure(task: Task) -> Generator[Event, None, Measured]:
    """Yield progress; return the record and arrays of every k, the one with the best validation macro F1 first.

    Decision values are shares of votes, of features as they are: neither standardised nor fitted to anything. A
    fold's training part votes on its validation part and on the hold-out; ties go to the first class, as in
    scikit-learn.
    """
    folds = task.params.split.folds
    smallest = min(len(task.division.training(fold)) for fold in range(folds))
    counts = tuple(k for k in NEIGHBOR_COUNTS if k <= smallest)
    test, validation = [], []
    for fold in range(folds):
        yield StepProgress(task.step_id, fold, folds + 1, unit="folds")
        rows, train = task.division.validation(fold), task.division.training(fold)
        validation.append((rows, _votes(task, rows, train, counts)))
        test.append(_votes(task, task.division.hold_out, train, counts))
    final = _votes(task, task.division.hold_out, task.pool, counts)
    yield StepProgress(task.step_id, folds + 1, folds + 1, unit="folds")
    return _measured(task, counts, test, validation, final)


def votes(
    queries: Floats,
    known: Floats,
    codes: Ints,
    n_classes: int,
    counts: Sequence[int],
    check: Callable[[], None],
) -> Floats:
    """Return the shares of votes (len(counts), q, k) for unit rows (q, d) of the nearest among unit rows (n, d).

    `codes` (n,) are the classes of `known`, `counts` the numbers of neighbours, at most n; ties in distance go to the
    lower row, at the last place too.
    """
    nearest = nearest_rows(queries, known, max(counts), check)
    cast = np.zeros((len(queries), n_classes))
    shares = np.zeros((len(counts), len(queries), n_classes))
    for place in range(max(counts)):
        cast[np.arange(len(queries)), codes[nearest[:, place]]] += 1
        for i, k in enumerate(counts):
            if k == place + 1:
                shares[i] = cast / k
    return shares


def _votes(task: Task, queries: Ints, known: Ints, counts: Sequence[int]) -> Floats:
    features, codes = task.problem.features, task.problem.codes
    rows = (wide_unit_rows(features[queries]), wide_unit_rows(features[known]))
    return votes(*rows, codes[known], task.problem.n_classes, counts, task.solver.check)


def _measured(
    task: Task, counts: tuple[int, ...], test: list[Floats], validation: list[tuple[Ints, Floats]], final: Floats
) -> Measured:
    at = [([fold[i] for fold in test], [(rows, known[i]) for rows, known in validation]) for i in range(len(counts))]
    f1 = np.array([[_macro_f1(task, *part) for part in own] for _, own in at])
    chosen = cv.choose_t(f1)
    n_train = len(task.pool)
    readings = tuple(
        ReadingRecord(setting="k", value=k, n_train=n_train, metrics=fold_scores(task, *at[i]))
        for i, k in enumerate(counts)
    )
    scaling = pooled_scaling(task, at[chosen][1])
    record = ProtocolRecord(
        k=counts[chosen],
        readings=readings,
        metrics=readings[chosen].metrics,
        final_metrics=classification.evaluate(task.truth, final[chosen], task.positive, scaling),
        separated=False,
    )
    predicted = np.stack([fold.argmax(axis=2) for fold in test], axis=1).astype(np.int16)
    arrays = fold_arrays(task, *at[chosen], final[chosen])
    warnings = tuple(f"too few training images for k = {k}" for k in NEIGHBOR_COUNTS if k not in counts)
    return Measured(record, {**arrays, "validation_macro_f1": f1, "predicted_readings": predicted}, warnings)


def _macro_f1(task: Task, rows: Ints, values: Floats) -> float:
    matrix = classification.confusion(task.problem.codes[rows], values.argmax(axis=1), task.problem.n_classes)
    return float(classification.macro_f1(matrix))
