"""Tables beside the scores: what extraction cost, which t was chosen, how each class fares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.catalog.published import SOURCES
from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.formats.csv_file import Value, write_csv
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.scores.published_difference import Comparison, compare, printed_classes

Row = Sequence[Value]
COST = (
    "model", "dataset", "feature", "d", "parameters", "device", "precision", "batch_size", "images", "computed",
    "failed", "images_per_second", "seconds", "peak_memory_bytes",
)  # fmt: skip
GRID = (
    "model", "dataset", "label_view", "protocol", "t", "saturated", "d", "n_train", "tuned_t",
    "tuned_validation_macro_f1", "no_training_error",
)  # fmt: skip
PUBLISHED = (
    "model", "dataset", "label_view", "protocol", "metric", "mean", "source", "published", "delta", "n", "published_n",
    "n_differs", "classes", "published_classes", "classes_differ", "protocol_differs",
)  # fmt: skip
PER_CLASS = ("model", "dataset", "label_view", "protocol", "class", "support", "measure", "mean", "std")
MEASURES = ("precision", "recall", "f1")


def write_cost(path: Path, tables: Iterable[tuple[Step, Mapping[str, Any]]]) -> None:
    """Write cost.csv: one row a sealed table; `computed` images were encoded, the others were stored before."""
    write_csv(path, COST, (_cost(step, manifest) for step, manifest in tables))


def write_grid(path: Path, cells: Iterable[Cell]) -> None:
    """Write t_grid.csv: the t that each cell chose, whether the grid was saturated, what a tuned one would choose.

    `tuned_validation_macro_f1` is the largest of ten means, hence optimistic.
    """
    rows = (
        (
            c.model.id, c.dataset.spec.id, c.dataset.view, c.protocol, c.t, c.saturated, c.d, c.n_train,
            *((c.tuned.t, c.tuned.macro_f1) if c.tuned else (None, None)), c.separated,
        )
        for c in cells
    )  # fmt: skip
    write_csv(path, GRID, rows)


def published_rows(cells: Iterable[Cell]) -> list[Row]:
    """Return our scores beside every printed one, of the paper and of the poster."""
    rows: list[Row] = []
    for cell in cells:
        ids = (cell.model.id, cell.dataset.spec.id, cell.dataset.view, cell.protocol)
        for metric in cell.metrics:
            for source in SOURCES:
                found = compare(cell, metric.name, source)
                if found is not None:
                    numbers = (metric.mean, source, found.published, found.delta)
                    rows.append((*ids, metric.name, *numbers, *_what_differs(cell, found)))
    return rows


def _what_differs(cell: Cell, found: Comparison) -> Row:
    """Return our and the published number of images, then of classes, and whether they and the protocols differ."""
    spec, differs = cell.dataset.spec, found.differs
    classes = (len(cell.classes), printed_classes(spec), "classes" in differs)
    return (cell.n, spec.published_n, "n" in differs, *classes, "protocol" in differs)


def write_per_class(path: Path, cells: Iterable[Cell], store: Store) -> None:
    """Write per_class.csv: precision, recall and F1 of every class on the hold-out."""
    rows: list[Row] = []
    for cell in cells:
        probe = store.result(cell.probe_key)
        if probe is not None:
            truth = probe.arrays["labels"][probe.arrays["hold_out"]]
            rows += per_class_rows(cell, truth, probe.arrays["predicted_test"])
    write_csv(path, PER_CLASS, rows)


def per_class_rows(cell: Cell, truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> Iterator[Row]:
    """Yield the rows of one cell; `truth` (n_test,), `predicted` (F, n_test) are class indices.

    mean and std are over the folds' classifiers; a class that is absent from the hold-out has no row.
    """
    values = per_class(truth, predicted, len(cell.classes))
    support = np.bincount(truth, minlength=len(cell.classes))
    for index, name in enumerate(cell.classes):
        for measure in MEASURES if support[index] else ():
            folds = values[measure][:, index]
            ids = (cell.model.id, cell.dataset.spec.id, cell.dataset.view, cell.protocol, name)
            yield (*ids, int(support[index]), measure, float(folds.mean()), float(folds.std()))


def per_class(truth: NDArray[np.integer], predicted: NDArray[np.integer], k: int) -> dict[str, NDArray[np.float64]]:
    """Return precision, recall and f1, each (F, k); 0 where undefined, as scikit-learn with zero_division=0."""
    right = np.stack([np.bincount(truth[fold == truth], minlength=k) for fold in predicted]).astype(np.float64)
    called = np.stack([np.bincount(fold, minlength=k) for fold in predicted])
    support = np.bincount(truth, minlength=k)
    return {
        "precision": _ratio(right, called),
        "recall": _ratio(right, np.broadcast_to(support, right.shape)),
        "f1": _ratio(2 * right, called + support),
    }


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.integer]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return ratio


def _cost(step: Step, manifest: Mapping[str, Any]) -> Row:
    made = manifest["provenance"]
    n, d = manifest["shape"]
    return (
        step.model, step.dataset, manifest["encoder"]["feature"], d, made.get("parameters"),
        made.get("device_name") or made.get("device"), manifest["encoder"]["precision"], made.get("batch_size"), n,
        made.get("computed"), len(manifest["failed"]), made.get("images_per_second"), made.get("seconds"),
        made.get("peak_memory_bytes"),
    )  # fmt: skip
