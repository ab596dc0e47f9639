"""The points of a map with what they are coloured by, and their table beside every figure of maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.maps.rows import CLASSES
from medvlm_tui.report.results.run_results import Map
from medvlm_tui.stages.records.separability import SeparabilityRecord

POINTS = (
    *texts("model", "dataset", "label_view"), *numbers("n_neighbors", "min_dist"), *texts("grouping", "image", "label"),
    *numbers("x", "y"), *texts("example"),
)  # fmt: skip
UNTAGGED = ""
"""The label of an image without a value of the tag."""
# A legend of more names than this is read by nobody; of a tag the commonest values have colours.
MOST_VALUES = 26


@dataclass(frozen=True, slots=True)
class Panel:
    """A map with its points."""

    shown: Map
    xy: NDArray[np.float32]
    """(m, 2)"""
    labels: tuple[str, ...]
    """(m,) what each point is coloured by."""
    ids: tuple[str, ...] = ()
    """(m,) the images."""
    grouping: str = CLASSES
    """`class`, or the name of a tag."""
    groups: tuple[str, ...] = ()
    """The values in the order of their colours; empty: the dataset's classes."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """Of the grouping in the full feature space: silhouette, knn_purity; empty where they were not measured."""

    @property
    def names(self) -> tuple[str, ...]:
        """The values that have colours, in the order of these."""
        return self.groups or self.shown.dataset.classes


def value_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the values of a tag that are drawn in colour, by name: all, or the commonest ones."""
    names, counts = np.unique([label for label in labels if label != UNTAGGED], return_counts=True)
    commonest = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    return tuple(sorted(str(names[index]) for index in commonest))


def measures_of(found: SeparabilityRecord | None) -> dict[str, float]:
    """Return what a figure prints of a separability result."""
    measured = {} if found is None else found.measures
    return {name: value for name in ("silhouette", "knn_purity") if (value := measured.get(name)) is not None}


def points_table(name: str, panels: Sequence[Panel], examples: Sequence[int] = ()) -> Table:
    """Return the points of a figure's panels, one row per point; `examples` are points that have a thumbnail."""
    return Table(name, POINTS, (row for panel in panels for row in _rows(panel, frozenset(examples))))


def _rows(panel: Panel, examples: frozenset[int]) -> Iterator[Row]:
    shown = panel.shown
    cell = (shown.model.id, shown.dataset.spec.id, shown.dataset.view, shown.n_neighbors, shown.min_dist)
    for point, (x, y) in enumerate(panel.xy.tolist()):
        image = panel.ids[point] if panel.ids else None
        yield (*cell, panel.grouping, image, panel.labels[point], x, y, point in examples)
