"""UMAP: the maps that a run asks for, and one of them."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.stages.option import Option, at_least, between, each, follows, option

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
