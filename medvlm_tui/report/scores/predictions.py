"""The tables with one row per image: predictions of a probe, coordinates of a map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store.store import Stored
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Map
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.records.projection import MapRecord

PREDICTIONS = texts("label_view", "feature", "part", "image", "label", "fold", "predicted")
GROUP = numbers("group")
PROJECTION = (*texts("image", "label"), *numbers("x", "y"))


def predictions_name(cell: Cell) -> str:
    """Return the table's name, `predictions/` and the cell's ids."""
    return "predictions/" + file_stem(cell.model.id, cell.dataset.spec.id, cell.protocol)


def projection_name(shown: Map) -> str:
    """Return the table's name, `projections/` and the map's ids and parameters."""
    stem = file_stem(shown.model.id, shown.dataset.spec.id)
    return f"projections/{stem}_{shown.n_neighbors}_{shown.min_dist:g}"


def predictions_table(cell: Cell, features: FeatureTable, probe: Stored[ProbeRecord]) -> Table:
    """Return every (image, fold) prediction with its decision values.

    part is test (fold 0 to F - 1: that fold's, or that draw's, classifier; final: the one fitted to all the rest,
    where the protocol has one) or validation (the fold whose classifier had not seen the image). Under `grouped` the
    last column is the number of the image's group: images of one number belong together.
    """
    columns = (*PREDICTIONS, *numbers(*(f"score_{name}" for name in cell.classes)))
    if "group" in probe.arrays:
        columns = (*columns, *GROUP)
    return Table(predictions_name(cell), columns, _predictions(cell, features, probe.arrays))


def projection_table(shown: Map, features: FeatureTable, result: Stored[MapRecord]) -> Table:
    """Return the coordinates of a map's points."""
    points = zip(result.arrays["rows"].tolist(), result.arrays["xy"], strict=True)
    rows = ((features.ids[i], features.labels[i], float(x), float(y)) for i, (x, y) in points)
    return Table(projection_name(shown), PROJECTION, rows)


def _predictions(cell: Cell, table: FeatureTable, arrays: Mapping[str, NDArray[Any]]) -> Iterator[Row]:
    held_out, groups = arrays["hold_out"].tolist(), arrays.get("group")
    for fold, (scores, predicted) in enumerate(zip(arrays["scores_test"], arrays["predicted_test"], strict=True)):
        yield from _part(cell, table, "test", held_out, str(fold), predicted, scores, groups)
    if "final_scores" in arrays:
        predicted, scores = arrays["final_predicted"], arrays["final_scores"]
        yield from _part(cell, table, "test", held_out, "final", predicted, scores, groups)
    for fold in range(len(arrays["scores_test"])):
        chosen = arrays["fold"] == fold
        rows = chosen.nonzero()[0].tolist()
        predicted, scores = arrays["predicted_validation"][chosen], arrays["scores_validation"][chosen]
        yield from _part(cell, table, "validation", rows, str(fold), predicted, scores, groups)


def _part(
    cell: Cell,
    table: FeatureTable,
    part: str,
    rows: Sequence[int],
    fold: str,
    predicted: NDArray[Any],
    scores: NDArray[Any],
    groups: NDArray[Any] | None,
) -> Iterator[Row]:
    for row, choice, values in zip(rows, predicted.tolist(), scores.tolist(), strict=True):
        image, label = table.ids[row], table.labels[row]
        group = () if groups is None else (int(groups[row]),)
        yield (cell.dataset.view, cell.feature, part, image, label, fold, cell.classes[choice], *values, *group)
