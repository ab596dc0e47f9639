"""The tidy tables: results, folds. Scores are fractions in full precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.formats.csv_file import Value, write_csv
from medvlm_tui.report.results.cells import Cell, HoldOut, Metric
from medvlm_tui.report.scores.published_difference import Comparison, compare

Row = Sequence[Value]
RESULTS = (
    "model",
    "dataset",
    "label_view",
    "protocol",
    "feature",
    "metric",
    "mean",
    "std",
    "ci_low",
    "ci_high",
    "n_train",
    "n_test",
    "d",
    "t",
    "saturated",
    "published",
    "delta",
    "delta_differs",
)
SEEDS = "seeds"
"""The last column of results.csv where a run had several hold-outs."""  # fmt: skip
FOLDS = ("model", "dataset", "protocol", "seed", "fold", "t", "metric", "part", "value")
READINGS = (
    "model", "dataset", "label_view", "protocol", "feature", "setting", "value", "n_train", "metric", "mean", "std",
)  # fmt: skip


def write_results(path: Path, cells: Iterable[Cell]) -> None:
    """Write results.csv: one row for each cell and metric; a metric that is not defined for the cell has no row.

    Means over the folds' classifiers stand under the protocol's name, the final classifier's scores under NAME/final.
    Over several hold-outs mean and interval are over these (`seeds` counts them), std is the mean of their stds, and t
    is the first one's. `delta_differs` names what differs from the published score beside the model: of n (the number
    of images), classes (their number) and protocol.
    """
    cells = tuple(cells)
    if not any(cell.hold_outs for cell in cells):
        write_csv(path, RESULTS, (row for cell in cells for row in _results(cell)))
        return
    rows = ((*row, max(1, len(cell.hold_outs))) for cell in cells for row in _results(cell))
    write_csv(path, (*RESULTS, SEEDS), rows)


def write_folds(path: Path, cells: Iterable[Cell]) -> None:
    """Write folds.csv: one row a (cell, metric, fold, part); part is test (the hold-out) or validation."""
    write_csv(path, FOLDS, (row for cell in cells for row in _folds(cell)))


def write_readings(path: Path, cells: Iterable[Cell]) -> None:
    """Write readings.csv: one row a (cell, setting, metric); a learning curve is mean against n_train.

    `setting` is k (neighbours) or shots (training images a class); a value of `all` is every training image.
    """
    write_csv(path, READINGS, (row for cell in cells for row in _readings(cell)))


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
