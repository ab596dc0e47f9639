"""UMAP: maps of a feature table, and what is read off all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.params.projection import MapOptions, ProjectionParams
from medvlm_tui.stages.records.projection import GridRecord, MapRecord
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    maps, reads = view.request.of(MapOptions), (view.cell.of("extract")[0].id,)
    for neighbors in maps.neighbors:
        for min_dist in maps.min_dist:
            params = ProjectionParams(neighbors, min_dist, maps.max_points, maps.seed)
            yield Draft(asdict(params), reads, f"{neighbors}:{min_dist:g}")


def _scores(record: MapRecord) -> Mapping[str, Any]:
    return dict(record.scores)


PROJECT = Stage(
    kind="project",
    version=3,
    title="maps",
    scope=Scope.CELL,
    record=MapRecord,
    work="medvlm_tui.engine.projection.step",
    drafts=_drafts,
    summary=_scores,
    needs=("extract",),
    options=MapOptions,
    shares_work=True,
    outputs="medvlm_tui.report.maps.files",
    screen="map",
)


def _grid_drafts(view: View) -> Iterator[Draft]:
    maps = view.cell.of("project")
    if maps:
        params = {"maps": [step.key for step in maps], "table": view.cell.table}
        yield Draft(params, tuple(step.id for step in maps))


def _grid_summary(record: GridRecord) -> Mapping[str, Any]:
    return {"proposed": record.proposed, "maps": len(record.cells)}


GRID = Stage(
    kind="grid",
    version=2,
    title="choice of map",
    scope=Scope.CELL,
    record=GridRecord,
    work="medvlm_tui.engine.projection.grid_step",
    drafts=_grid_drafts,
    summary=_grid_summary,
    asked_by="project",
    gathers="maps",
    fewest=1,
    screen="map",
)
