"""Stored results of UMAP: the record of one map, and the readings from all maps of a model on a dataset together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Scores = Mapping[str, float | None]
"""trustworthiness, continuity, knn_purity and silhouette of the map, silhouette_features; None where undefined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRecord:
    """One map. Arrays: `xy` (m, 2), `rows` (m,) of the feature table."""

    n_neighbors: int
    n_neighbors_used: int
    """Fewer than asked for where the table has few rows."""
    min_dist: float
    seed: int
    n: int
    """Rows of the table."""
    subsampled: bool
    """The map shows a stratified part of them."""
    scores: Scores
    note: str = ""
    layout_seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> MapRecord:
        """Return a small, complete record: a map of 60 images."""
        return cls(
            n_neighbors=15,
            n_neighbors_used=15,
            min_dist=0.1,
            seed=0,
            n=60,
            subsampled=False,
            scores={"trustworthiness": 0.96, "continuity": 0.92, "knn_purity": 0.91, "silhouette": None},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GridCell:
    """One map of a grid, and how it was turned."""

    key: str
    n_neighbors: int
    min_dist: float
    scores: Scores
    faithfulness: float
    """Mean of trustworthiness and continuity, by which a map is proposed."""
    onto: str | None
    """Key of the neighbour it was turned onto; None for the proposed map."""
    disparity: float
    rotation: tuple[tuple[float, float], tuple[float, float]]
    scale: float
    shift: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecord:
    """A cluster of points on the proposed map."""

    size: int
    label: str
    """Its commonest class."""
    share: float
    """Of that class in it."""
    middle: int
    """Point nearest to its median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplePoints:
    """Points of the proposed map whose images stand for it, by how they were chosen."""

    density: tuple[int, ...]
    cluster: tuple[int, ...]

    def of(self, kind: str) -> tuple[int, ...]:
        """Return the points chosen by `density` or by `cluster`."""
        return {"density": self.density, "cluster": self.cluster}[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRecord:
    """The maps of one model on one dataset, all in one orientation.

    Arrays: `xy` (c, m, 2) in the order of `cells`, `rows`, `clusters`, `examples`, `thumbnails`.
    """

    rule: str
    """By which a map is proposed."""
    proposed: str
    """Key of the proposed map."""
    cells: tuple[GridCell, ...]
    clusters: tuple[ClusterRecord, ...]
    examples: ExamplePoints
    n: int
    seed: int
    subsampled: bool
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> GridRecord:
        """Return a small, complete record: a grid of one map."""
        shown = MapRecord.example()
        cell = GridCell(
            key="map-1",
            n_neighbors=shown.n_neighbors,
            min_dist=shown.min_dist,
            scores=shown.scores,
            faithfulness=0.94,
            onto=None,
            disparity=0.0,
            rotation=((1.0, 0.0), (0.0, 1.0)),
            scale=1.0,
            shift=(0.0, 0.0),
        )
        return cls(
            rule="the highest mean of trustworthiness and continuity",
            proposed="map-1",
            cells=(cell,),
            clusters=(ClusterRecord(size=20, label="none", share=1.0, middle=3),),
            examples=ExamplePoints(density=(3, 1), cluster=(3,)),
            n=60,
            seed=0,
            subsampled=False,
        )
