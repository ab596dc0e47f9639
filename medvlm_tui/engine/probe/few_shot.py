"""The label-poor reading: the linear SVM fitted to a few images per class, many times over; the learning curve."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, StepProgress
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.probe import folds as cv
from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.probe.protocol import Floats, Ints, Measured, Scores, Task, split_arrays, spreads
from medvlm_tui.measures import classification
from medvlm_tui.stages.protocols import DRAWS, SHOTS
from medvlm_tui.stages.records.probe import ProtocolRecord, ReadingRecord

# So few images leave nothing to choose a t by; with more dimensions than images every t of the paper's grid gives
# the same classifier.
T = 1.0
_IN_POOL = -2


def measure(task: Task) -> Generator[Event, None, Measured]:
    """Yield progress; return the record and arrays: every number of shots, all training images as the last reading.

    Each draw takes the first images of its own permutation of every class's training images, so that more shots
    keep the images of fewer. Scaler and SVM see these images alone, and the hold-out is the one of the other
    protocols.
    """
    drawn = [_order(task, draw) for draw in range(DRAWS)]
    scores: list[list[Floats]] = []
    for number, shots in enumerate(SHOTS):
        yield StepProgress(task.step_id, number, len(SHOTS) + 1, unit="sizes")
        scores.append([_scores(task, shot_rows(order, shots)) for order in drawn])
    yield StepProgress(task.step_id, len(SHOTS), len(SHOTS) + 1, unit="sizes")
    whole = _scores(task, task.pool)
    yield StepProgress(task.step_id, len(SHOTS) + 1, len(SHOTS) + 1, unit="sizes")
    readings = [_reading(task, s, len(shot_rows(drawn[0], s)), own) for s, own in zip(SHOTS, scores, strict=True)]
    readings.append(_reading(task, None, len(task.pool), [whole]))
    record = ProtocolRecord(
        t=T,
        shots=SHOTS[-1],
        draws=DRAWS,
        readings=tuple(readings),
        metrics=readings[-2].metrics,
        separated=False,
    )
    return Measured(record, _arrays(task, scores, drawn), _short_classes(task))


def shot_rows(order: list[Ints], shots: int) -> Ints:
    """Return the rows of `shots` images of every class, of all that a smaller class has, ascending."""
    return np.sort(np.concatenate([rows[:shots] for rows in order]))


def _order(task: Task, draw: int) -> list[Ints]:
    """Return each class's training rows in the order in which a draw takes them."""
    rng = np.random.default_rng([task.params.split.seed, draw])
    codes = task.problem.codes[task.pool]
    return [rng.permutation(task.pool[codes == c]) for c in range(task.problem.n_classes)]


def _scores(task: Task, rows: Ints) -> Floats:
    """Return the decision values (n_test, k) of the hold-out after training on some rows."""
    scaler = Scaler.fit(task.problem.features[rows].astype(np.float64))
    x, codes = scaler.apply(task.problem.features[rows]), task.problem.codes[rows]
    cost = cv.costs([T], x.shape[1], len(rows))
    path = task.solver.path(x, codes, task.problem.n_classes, cost)
    return Classifier(scaler, path.coef[0], path.intercept[0]).scores(task.problem.features[task.division.hold_out])


def _reading(task: Task, shots: int | None, n_train: int, scores: list[Floats]) -> ReadingRecord:
    """Return one point of the learning curve; no shots stand for all training images, fitted once."""
    test: list[Scores] = [classification.evaluate(task.truth, values, task.positive) for values in scores]
    return ReadingRecord(setting="shots", value=shots, n_train=n_train, metrics=spreads(test, []))


def _arrays(task: Task, scores: list[list[Floats]], drawn: list[list[Ints]]) -> dict[str, NDArray[Any]]:
    """Return the decision values of the most shots, the predictions of all, and which rows they were trained on."""
    most = np.stack(scores[-1])
    n, k = len(task.problem.codes), task.problem.n_classes
    predicted = np.stack([np.stack(own).argmax(axis=2) for own in scores]).astype(np.int16)
    fold = np.where(task.division.fold >= 0, _IN_POOL, task.division.fold).astype(np.int8)
    return {
        **split_arrays(task),
        "fold": fold,
        "scores_test": most,
        "predicted_test": predicted[-1],
        "predicted_readings": predicted,
        "scores_validation": np.full((n, k), np.nan),
        "predicted_validation": np.full(n, -1, dtype=np.int16),
        "drawn_rows": np.stack([shot_rows(order, SHOTS[-1]) for order in drawn]),
    }


def _short_classes(task: Task) -> tuple[str, ...]:
    counts = np.bincount(task.problem.codes[task.pool], minlength=task.problem.n_classes)
    short = [f"{clean(task.classes[c])} {counts[c]}" for c in np.flatnonzero(counts < SHOTS[-1])]
    if not short:
        return ()
    return (f"fewer than {SHOTS[-1]} training images, all of which take part: {', '.join(short)}",)
