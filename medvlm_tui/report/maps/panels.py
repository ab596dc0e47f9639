"""From a run's stored maps to panels: in one orientation, coloured by classes or by a tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.store.store import Store, Stored
from medvlm_tui.core.tags import read_tags, tags_of
from medvlm_tui.measures.map_choice import proposed
from medvlm_tui.measures.procrustes import turn_by_common
from medvlm_tui.report.maps.panel import UNTAGGED, Panel, measures_of, value_order
from medvlm_tui.report.maps.rows import CLASSES, grids
from medvlm_tui.report.results.run_results import Gathered, Map
from medvlm_tui.stages.projection import PROJECT
from medvlm_tui.stages.records.projection import GridRecord
from medvlm_tui.stages.records.separability import SeparabilityRecord
from medvlm_tui.stages.separability import SEPARABILITY

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PairMaps:
    """The maps of one model on one dataset."""

    panels: tuple[Panel, ...]
    """In the plan's order, all in one orientation."""
    proposed: Panel
    grid: Stored[GridRecord] | None
    """Of the grid step, which has the example images."""

    def thumbnails(self, kind: str) -> dict[int, NDArray[np.uint8]]:
        """Return point -> thumbnail of the examples chosen by `kind`, density or cluster, on the proposed map."""
        if self.grid is None or "thumbnails" not in self.grid.arrays:
            return {}
        pixels = dict(zip(self.grid.arrays["examples"].tolist(), self.grid.arrays["thumbnails"], strict=True))
        return {point: pixels[point] for point in self.grid.record.examples.of(kind)}


class MapPanels:
    """The panels of a run; what several figures share is read once."""

    def __init__(self, gathered: Gathered, store: Store) -> None:
        self._gathered = gathered
        self._store = store

    @cached_property
    def pairs(self) -> dict[Pair, PairMaps]:
        """(model, dataset) -> its maps; a pair whose maps or features are gone is left out."""
        by_pair: dict[Pair, list[Map]] = {}
        for shown in self._gathered.maps:
            by_pair.setdefault((shown.model.id, shown.dataset.spec.id), []).append(shown)
        found = {pair: self._pair(pair, maps) for pair, maps in by_pair.items()}
        return {pair: maps for pair, maps in found.items() if maps is not None}

    def tags(self, dataset: str) -> dict[str, dict[str, str]]:
        """Return tag -> image -> value of a dataset, the tags that the user gave first."""
        found = tags_of(self._gathered.source.datasets[dataset], self._given)
        return dict(sorted(found.items(), key=lambda item: item[0] not in self._given))

    def by_tag(self, panel: Panel, tag: str) -> Panel:
        """Return a panel coloured by the values of a tag."""
        model, dataset = panel.shown.model.id, panel.shown.dataset.spec.id
        values = self.tags(dataset)[tag]
        labels = tuple(values.get(image, UNTAGGED) for image in panel.ids)
        measures = measures_of(self._separability.get((model, dataset, tag)))
        return replace(panel, labels=labels, grouping=tag, groups=value_order(labels), measures=measures)

    @cached_property
    def _given(self) -> Mapping[str, Mapping[str, str]]:
        file = self._gathered.source.request.tags
        return read_tags(Path(file).expanduser()) if file else {}

    @cached_property
    def _grids(self) -> dict[Pair, Stored[GridRecord]]:
        return grids(self._gathered.source)

    @cached_property
    def _separability(self) -> dict[tuple[str, str, str], SeparabilityRecord]:
        """(model, dataset, grouping) -> result."""
        measured = self._gathered.source.records(SEPARABILITY)
        return {(step.model, step.dataset, found.tag or CLASSES): found for step, found in measured}

    def _pair(self, pair: Pair, maps: Sequence[Map]) -> PairMaps | None:
        grid = self._grids.get(pair)
        cells = [] if grid is None else zip(grid.record.cells, grid.arrays["xy"], strict=True)
        turned = {cell.key: xy for cell, xy in cells}
        panels = tuple(panel for panel in (self._panel(shown, turned.get(shown.key)) for shown in maps) if panel)
        if not panels:
            return None
        keys = [panel.shown.key for panel in panels]
        chosen = "" if grid is None else grid.record.proposed
        best = keys.index(chosen) if chosen in keys else proposed([panel.shown.scores for panel in panels])
        return PairMaps(panels, panels[best], grid if chosen in keys else None)

    def _panel(self, shown: Map, turned: NDArray[np.float32] | None) -> Panel | None:
        table, result = self._store.tables.read(shown.table_key), self._store.read(shown.key, PROJECT.record)
        if table is None or result is None:
            return None
        rows = result.arrays["rows"].tolist()
        measures = measures_of(self._separability.get((shown.model.id, shown.dataset.spec.id, CLASSES)))
        return Panel(
            shown,
            result.arrays["xy"] if turned is None else turned,
            tuple(table.labels[row] for row in rows),
            tuple(table.ids[row] for row in rows),
            measures=measures,
        )


def side_by_side(panels: Sequence[Panel]) -> list[Panel]:
    """Return the maps of several models, each turned onto the first one of its dataset by the images both show."""
    first: dict[str, Panel] = {}
    turned = []
    for panel in panels:
        onto = first.setdefault(panel.shown.dataset.spec.id, panel)
        turn = turn_by_common(onto.xy, np.array(onto.ids), panel.xy, np.array(panel.ids))
        turned.append(panel if onto is panel else replace(panel, xy=turn.apply(panel.xy).astype(np.float32)))
    return turned
