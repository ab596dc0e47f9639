"""Tables beside the scores: what extraction cost, which t was chosen, how each class fares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.catalog.published import SOURCES
from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.scores.published_difference import Comparison, compare, printed_classes
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.extract import ExtractRecord

COST = (
    *texts("model", "dataset", "feature"), *numbers("d", "parameters"), *texts("device", "precision"),
    *numbers("batch_size", "images", "computed", "failed", "images_per_second", "seconds", "peak_memory_bytes"),
)  # fmt: skip
GRID = (
    *texts("model", "dataset", "label_view", "protocol"), *numbers("t"), *texts("saturated"),
    *numbers("d", "n_train", "tuned_t", "tuned_validation_macro_f1"), *texts("no_training_error"),
)  # fmt: skip
PUBLISHED = (
    *texts("model", "dataset", "label_view", "protocol", "metric"), *numbers("mean"), *texts("source"),
    *numbers("published", "delta", "n", "published_n"), *texts("n_differs"), *numbers("classes", "published_classes"),
    *texts("classes_differ", "protocol_differs"),
)  # fmt: skip
PER_CLASS = (
    *texts("model", "dataset", "label_view", "protocol", "class"), *numbers("support"), *texts("measure"),
    *numbers("mean", "std"),
)  # fmt: skip
MEASURES = ("precision", "recall", "f1")


def cost_table(tables: Iterable[tuple[Step, ExtractRecord]]) -> Table:
    """Return one row per sealed table; `computed` images were encoded, the others were stored before."""
    return Table("cost", COST, tuple(_cost(step, manifest) for step, manifest in tables), "Cost of the features")


def grid_table(cells: Iterable[Cell]) -> Table:
    """Return the t that each cell chose, whether the grid was saturated, what a tuned one would choose.

    `tuned_validation_macro_f1` is the largest of ten means, hence optimistic.
    """
    rows = tuple(
        (
            c.model.id, c.dataset.spec.id, c.dataset.view, c.protocol, c.t, c.saturated, c.d, c.n_train,
            *((c.tuned.t, c.tuned.macro_f1) if c.tuned else (None, None)), c.separated,
        )
        for c in cells
    )  # fmt: skip
    return Table("t_grid", GRID, rows, "The chosen t")


def published_table(cells: Iterable[Cell]) -> Table:
    """Return our scores beside every printed one, of the paper and of the poster."""
    rows: list[Row] = []
    for cell in cells:
        ids = (cell.model.id, cell.dataset.spec.id, cell.dataset.view, cell.protocol)
        for metric in cell.metrics:
            for source in SOURCES:
                found = compare(cell, metric.name, source)
                if found is not None:
                    scores = (metric.mean, source, found.published, found.delta)
                    rows.append((*ids, metric.name, *scores, *_what_differs(cell, found)))
    return Table("published", PUBLISHED, rows, "Beside the published scores")


def _what_differs(cell: Cell, found: Comparison) -> Row:
    """Return our and the published number of images, then of classes, and whether they and the protocols differ."""
    spec, differs = cell.dataset.spec, found.differs
    classes = (len(cell.classes), printed_classes(spec), "classes" in differs)
    return (cell.n, spec.published_n, "n" in differs, *classes, "protocol" in differs)


def per_class_table(cells: Iterable[Cell], store: Store) -> Table:
    """Return precision, recall and F1 of every class on the hold-out."""
    rows: list[Row] = []
    for cell in cells:
        probe = store.read(cell.probe_key, PROBE.record)
        if probe is not None:
            truth = probe.arrays["labels"][probe.arrays["hold_out"]]
            rows += per_class_rows(cell, truth, probe.arrays["predicted_test"])
    return Table("per_class", PER_CLASS, rows, "Precision, recall and F1 of each class")


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


def _cost(step: Step, manifest: ExtractRecord) -> Row:
    made, (n, d) = manifest.provenance, manifest.shape
    return (
        step.model, step.dataset, manifest.encoder.feature, d, made.parameters,
        made.device_name or made.device or None, manifest.encoder.precision, made.batch_size, n, made.computed,
        len(manifest.failed), made.images_per_second, made.seconds, made.peak_memory_bytes,
    )  # fmt: skip
