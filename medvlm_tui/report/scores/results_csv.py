"""The tidy tables: results, folds. Scores are fractions in full precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from medvlm_tui.report.formats.parquet_file import Type
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.cells import Cell, HoldOut, Metric
from medvlm_tui.report.scores.published_difference import Comparison, compare

RESULTS = (
    *texts("model", "dataset", "label_view", "protocol", "feature", "metric"),
    *numbers("mean", "std", "ci_low", "ci_high", "n_train", "n_test", "d", "t"), *texts("saturated"),
    *numbers("published", "delta"), *texts("delta_differs"),
)  # fmt: skip
SEEDS = numbers("seeds")
"""The last column of results.csv where a run had several hold-outs."""
TYPES: Mapping[str, Type] = {"saturated": "bool", **dict.fromkeys(("n_train", "n_test", "d", "seeds"), "int64")}
"""Columns of results.parquet that are neither text nor floating-point numbers."""
FOLDS = (
    *texts("model", "dataset", "protocol"), *numbers("seed", "fold", "t"), *texts("metric", "part"), *numbers("value"),
)  # fmt: skip
READINGS = (
    *texts("model", "dataset", "label_view", "protocol", "feature", "setting", "value"), *numbers("n_train"),
    *texts("metric"), *numbers("mean", "std"),
)  # fmt: skip


def results_table(cells: Iterable[Cell]) -> Table:
    """Return results.csv: one row for each cell and metric; a metric that is not defined for the cell has no row.

    Means over the folds' classifiers stand under the protocol's name, the final classifier's scores under NAME/final.
    Over several hold-outs mean and interval are over these (`seeds` counts them), std is the mean of their stds, and t
    is the first one's. `delta_differs` names what differs from the published score beside the model: of n (the number
    of images), classes (their number) and protocol.
    """
    cells = tuple(cells)
    if not any(cell.hold_outs for cell in cells):
        return Table("results", RESULTS, tuple(row for cell in cells for row in _results(cell)), "All scores")
    rows = tuple((*row, max(1, len(cell.hold_outs))) for cell in cells for row in _results(cell))
    return Table("results", (*RESULTS, *SEEDS), rows, "All scores")


def folds_table(cells: Iterable[Cell]) -> Table:
    """Return folds.csv: one row per (cell, metric, fold, part); part is test (the hold-out) or validation."""
    return Table("folds", FOLDS, tuple(row for cell in cells for row in _folds(cell)), "Scores of every fold")


def readings_table(cells: Iterable[Cell]) -> Table:
    """Return readings.csv: one row per (cell, setting, metric); a learning curve is mean against n_train.

    `setting` is k (neighbours) or shots (training images per class); a value of `all` is every training image.
    """
    rows = tuple(row for cell in cells for row in _readings(cell))
    return Table("readings", READINGS, rows, "Scores by setting")


def _results(cell: Cell) -> Iterator[Row]:
    for metric in cell.metrics:
        comparison = compare(cell, metric.name)
        yield from _result(cell, cell.protocol, metric, comparison)
    for metric in cell.final:
        yield from _result(cell, f"{cell.protocol}/final", metric, None)


def _result(cell: Cell, protocol: str, metric: Metric, beside: Comparison | None) -> Iterator[Row]:
    printed = (beside.published, beside.delta, " ".join(beside.differs) or None) if beside else (None, None, None)
    if metric.mean is not None:
        yield (
            cell.model.id, cell.dataset.spec.id, cell.dataset.view, protocol, cell.feature, metric.name, metric.mean,
            metric.std, metric.low, metric.high, cell.n_train, cell.n_test, cell.d, cell.t, cell.saturated, *printed,
        )  # fmt: skip


def _readings(cell: Cell) -> Iterator[Row]:
    ids = (cell.model.id, cell.dataset.spec.id, cell.dataset.view, cell.protocol, cell.feature)
    for one in cell.readings:
        value = "all" if one.value is None else one.value
        for metric in one.metrics:
            if metric.mean is not None:
                yield (*ids, one.setting, value, one.n_train, metric.name, metric.mean, metric.std)


def _folds(cell: Cell) -> Iterator[Row]:
    for one in cell.hold_outs or (HoldOut(cell.seed, cell.t, cell.metrics, cell.final),):
        ids = (cell.model.id, cell.dataset.spec.id, cell.protocol, one.seed)
        for metric in one.metrics:
            for part, values in (("test", metric.folds), ("validation", metric.validation)):
                for fold, value in enumerate(values):
                    if value is not None:
                        yield (*ids, fold, one.t, metric.name, part, value)
