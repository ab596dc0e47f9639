"""UMAP: maps of a feature table, and what is read off all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medvlm_tui.stages.option import Option, at_least, between, each, follows, option
from medvlm_tui.stages.stage import Draft, Scope, Stage, View

# The poster's 50 panels.
POSTER_NEIGHBORS = (3, 5, 10, 15, 25, 50, 100, 200, 500, 1000)
POSTER_MIN_DISTS = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class MapOptions:
    """The maps that a run asks for: one for each pair of values."""

    neighbors: tuple[int, ...] = option(
        (15,),
        Option(
            "umap_neighbors",
            "values of n_neighbors, or `grid` for the ten values of the poster",
            "LIST",
            check=each(at_least(2)),
            words={"grid": POSTER_NEIGHBORS},
        ),
    )
    min_dist: tuple[float, ...] = option(
        (0.1,),
        Option(
            "umap_min_dist",
            "values of min_dist, or `grid` for the five values of the poster",
            "LIST",
            check=each(between(0, 1)),
            words={"grid": POSTER_MIN_DISTS},
        ),
    )
    max_points: int = option(
        5000,
        Option(
            "umap_max_points",
            "most images per UMAP; larger datasets are subsampled, stratified by class",
            "N",
            check=at_least(10),
        ),
    )
    seed: int = follows(0, "seed")


_USUAL = MapOptions()


@dataclass(frozen=True, slots=True)
class ProjectionParams:
    """One map."""

    n_neighbors: int = _USUAL.neighbors[0]
    min_dist: float = _USUAL.min_dist[0]
    max_points: int = _USUAL.max_points
    """Larger sets are subsampled, stratified by class."""
    seed: int = _USUAL.seed


def _drafts(view: View) -> Iterator[Draft]:
    maps, reads = view.request.of(MapOptions), (view.cell.of("extract")[0].id,)
    for neighbors in maps.neighbors:
        for min_dist in maps.min_dist:
            params = ProjectionParams(neighbors, min_dist, maps.max_points, maps.seed)
            yield Draft(asdict(params), reads, f"{neighbors}:{min_dist:g}")


def _scores(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(record["scores"])


PROJECT = Stage(
    kind="project",
    version=3,
    title="maps",
    scope=Scope.CELL,
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


def _grid_summary(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"proposed": record["proposed"], "maps": len(record["cells"])}


GRID = Stage(
    kind="grid",
    version=2,
    title="choice of map",
    scope=Scope.CELL,
    work="medvlm_tui.engine.projection.grid_step",
    drafts=_grid_drafts,
    summary=_grid_summary,
    asked_by="project",
    gathers="maps",
    fewest=1,
    screen="map",
)
