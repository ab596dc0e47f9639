"""Stored results of separability: how well classes, or the values of a tag, lie apart in the full feature space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparabilityRecord:
    """Every measure of one model on one dataset under one grouping of its images."""

    measures: Mapping[str, float | None]
    """None where a measure is not defined."""
    p_values: Mapping[str, float | None]
    """Of the measures that read the grouping, against permuted groupings."""
    purity_by_chance: float | None
    """None below two images."""
    tag: str
    """Empty: the classes."""
    classes: tuple[str, ...]
    """The classes, or the values of the tag."""
    neighbours: int
    permutations: int
    seed: int
    n: int
    used: int
    """Images that were measured: a stratified part of many."""
    subsampled: bool
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> SeparabilityRecord:
        """Return a small, complete record: three classes that lie apart."""
        return cls(
            measures={"silhouette": 0.25, "knn_purity": 0.875, "hubness": None, "rank_me": 5.5},
            p_values={"silhouette": 0.005, "knn_purity": 0.005},
            purity_by_chance=1 / 3,
            tag="",
            classes=("none", "smooth", "spiculated"),
            neighbours=15,
            permutations=200,
            seed=0,
            n=60,
            used=60,
            subsampled=False,
        )
