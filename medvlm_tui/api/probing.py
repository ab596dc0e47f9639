"""The study's classification on features and labels of one's own, for notebooks."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medvlm_tui.api.frames import pandas
from medvlm_tui.core.store.store import Stored
from medvlm_tui.engine.comparison.intervals_step import held_groups, intervals_of
from medvlm_tui.engine.datasets.splits.by_group import split_by_group
from medvlm_tui.engine.datasets.splits.stratified import split
from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.probe.folds import Problem
from medvlm_tui.engine.probe.protocol import Task
from medvlm_tui.engine.probe.solver.choice import Solver
from medvlm_tui.engine.probe.split import Division, group_numbers, short_folds
from medvlm_tui.engine.probe.step import MEASURES, constant_columns, positive_index, record_of
from medvlm_tui.errors import UsageError
from medvlm_tui.measures.intervals import Interval
from medvlm_tui.stages.params.probe import ProbeParams, SplitParams
from medvlm_tui.stages.records.probe import ProbeRecord

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Scores of one set of features under one protocol."""

    record: ProbeRecord
    """Classes, metrics (mean and standard deviation over the folds' classifiers), t, counts, warnings."""
    arrays: Mapping[str, NDArray[Any]]
    """Split, decision values, predictions, coefficients, named as in docs/architecture.md, "Results in the store"."""
    intervals: Mapping[str, Interval]
    """Metric -> its 95 % interval over held-out images, over whole groups under `grouped`; empty below five images."""

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame with a row per metric: index `metric`, columns `mean`, `std`, `ci_low`, `ci_high`.

        Raises MissingInputError where pandas is not installed.
        """
        frames = pandas()
        rows = {
            name: (metric.mean, metric.std, *self.intervals.get(name, (None, None)))
            for name, metric in self.record.metrics.items()
        }
        columns = ["mean", "std", "ci_low", "ci_high"]
        frame: pd.DataFrame = frames.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
        return frame.rename_axis("metric")

    def predict(self, features: ArrayLike) -> NDArray[np.str_]:
        """Return the class (n,) of new features (n, d) by the final classifier, fitted to all that is not held out.

        Raises UsageError under `knn` and `few_shot`, which fit none, and for features of another dimension.
        """
        if "final_coef" not in self.arrays:
            raise UsageError(f"the protocol {self.record.protocol} fits no final classifier", "use paper or tuned")
        coef, intercept, mean, scale = (self.arrays[f"final_{n}"] for n in ("coef", "intercept", "mean", "scale"))
        given = _matrix(features)
        if given.shape[1] != len(mean):
            raise UsageError(f"the classifier takes {len(mean)} dimensions, these features have {given.shape[1]}")
        codes = Classifier(Scaler(mean, scale), coef, intercept).scores(given).argmax(axis=1)
        predicted: NDArray[np.str_] = np.array(self.record.classes, dtype=np.str_)[codes]
        return predicted


def run_probe(
    features: ArrayLike,
    labels: Sequence[str] | NDArray[Any],
    *,
    groups: Sequence[str] | NDArray[Any] | None = None,
    protocol: str = "paper",
    hold_out: float = 0.2,
    folds: int = 5,
    seed: int = 0,
    positive: str = "",
) -> ProbeResult:
    """Classify features (n, d) by a protocol of the study: paper, poster, tuned, grouped, knn or few_shot.

    The rows are divided as in a run: the same labels in the same order give the same hold-out. `groups` (n,) names
    each row's patient, slide or lesion, "" for none; `grouped` keeps them on one side. `positive` is the class of two
    that f1_positive is of (the last). Computed on the CPU.

    Raises UsageError for arguments outside their range or of different lengths, MedvlmError for classes that are too
    small to be divided.
    """
    if protocol not in MEASURES:
        raise UsageError(f"unknown protocol {protocol!r}", f"choose from {', '.join(MEASURES)}")
    matrix, names = _matrix(features), [str(label) for label in np.asarray(labels).tolist()]
    _check_lengths(matrix, names, groups)
    classes = tuple(sorted(set(names)))
    if positive and positive not in classes:
        raise UsageError(f"no label is {positive!r}", f"choose from {', '.join(classes[:10])}")
    problem = Problem(matrix, np.searchsorted(classes, names).astype(np.int64), len(classes))
    params = ProbeParams(protocol, SplitParams(hold_out, folds, seed))
    division = _divided(names, groups, params)
    index = positive_index(classes, positive)
    task = Task(problem, division.rows, params, index, classes, "probe", Solver(lambda: None))
    noted = constant_columns(problem, "this model", "these labels")
    measured = _last(MEASURES[protocol](task))
    noted += short_folds(division.rows, problem.codes, classes)
    arrays = {**measured.arrays, **({} if division.groups is None else {"group": division.groups})}
    stored = Stored("", arrays, replace(record_of(task, measured, noted), grouping=division.record()))
    return ProbeResult(stored.record, arrays, intervals_of(stored, held_groups(stored), 0.95))


def _matrix(features: ArrayLike) -> NDArray[np.float32]:
    try:
        matrix = np.ascontiguousarray(features, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"features are no table of numbers: {error}", "give an array (n, d)") from error
    if matrix.ndim != 2 or not matrix.size:
        raise UsageError(f"features have the shape {matrix.shape}", "give an array (n, d) with rows and columns")
    if not np.isfinite(matrix).all():
        raise UsageError("features are NaN or infinite", "leave out these rows, or encode them in fp32")
    return matrix


def _check_lengths(matrix: NDArray[np.float32], labels: Sequence[str], groups: Any) -> None:
    for what, values in (("labels", labels), ("groups", groups)):
        if values is not None and len(values) != len(matrix):
            raise UsageError(f"{len(matrix)} rows of features, and {len(values)} {what}", "give one for each row")


def _divided(labels: Sequence[str], groups: Any, params: ProbeParams) -> Division:
    if params.protocol != "grouped":
        return Division(split(labels, params.split))
    if groups is None:
        raise UsageError("the protocol grouped needs groups", "give groups=..., or use the protocol paper")
    names = [str(group) for group in np.asarray(groups).tolist()]
    return Division(split_by_group(labels, names, params.split), group_numbers(names), "dataset")


def _last(steps: Generator[Any, None, T]) -> T:
    """Return the value of a generator, whose progress nobody watches here."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
