"""The tables with one row an image: predictions of a probe, coordinates of a map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store.store import StoredResult
from medvlm_tui.report.formats.csv_file import Value, write_csv
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Map

Row = Sequence[Value]
PREDICTIONS = ("label_view", "feature", "part", "image", "label", "fold", "predicted")
PROJECTION = ("image", "label", "x", "y")


def predictions_name(cell: Cell) -> str:
    """Return the file's name in `predictions/`."""
    return file_stem(cell.model.id, cell.dataset.spec.id, cell.protocol) + ".csv"


def projection_name(shown: Map) -> str:
    """Return the file's name in `projections/`."""
    return f"{file_stem(shown.model.id, shown.dataset.spec.id)}_{shown.n_neighbors}_{shown.min_dist:g}.csv"


def write_predictions(path: Path, cell: Cell, table: FeatureTable, probe: StoredResult) -> None:
    """Write every (image, fold) prediction with its decision values.

    part is test (fold 0 to F - 1: that fold's, or that draw's, classifier; final: the one fitted to all the rest,
    where the protocol has one) or validation (the fold whose classifier had not seen the image).
    """
    header = (*PREDICTIONS, *(f"score_{name}" for name in cell.classes))
    write_csv(path, header, _predictions(cell, table, probe.arrays))


def write_projection(path: Path, table: FeatureTable, result: StoredResult) -> None:
    """Write the coordinates of a map's points."""
    xy, rows = result.arrays["xy"], result.arrays["rows"]
    write_csv(
        path,
        PROJECTION,
        ((table.ids[i], table.labels[i], float(x), float(y)) for i, (x, y) in zip(rows.tolist(), xy, strict=True)),
    )


def _predictions(cell: Cell, table: FeatureTable, arrays: Mapping[str, NDArray[Any]]) -> Iterator[Row]:
    held_out = arrays["hold_out"].tolist()
    for fold, (scores, predicted) in enumerate(zip(arrays["scores_test"], arrays["predicted_test"], strict=True)):
        yield from _part(cell, table, "test", held_out, str(fold), predicted, scores)
    if "final_scores" in arrays:
        yield from _part(cell, table, "test", held_out, "final", arrays["final_predicted"], arrays["final_scores"])
    for fold in range(len(arrays["scores_test"])):
        chosen = arrays["fold"] == fold
        rows = chosen.nonzero()[0].tolist()
        predicted, scores = arrays["predicted_validation"][chosen], arrays["scores_validation"][chosen]
        yield from _part(cell, table, "validation", rows, str(fold), predicted, scores)


def _part(
    cell: Cell,
    table: FeatureTable,
    part: str,
    rows: Sequence[int],
    fold: str,
    predicted: NDArray[Any],
    scores: NDArray[Any],
) -> Iterator[Row]:
    for row, choice, values in zip(rows, predicted.tolist(), scores.tolist(), strict=True):
        image, label = table.ids[row], table.labels[row]
        yield (cell.dataset.view, cell.feature, part, image, label, fold, cell.classes[choice], *values)
