"""Stored results of similarity: how alike the features of every two models are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Likeness:
    """One measure of two models."""

    value: float
    p_value: float | None
    """Against features of shuffled images."""
    low: float | None
    """95 % interval over images, by the jackknife; None where there is none."""
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LikenessRecord:
    """Two sets of features of the same images; a measure is None where it is not defined."""

    cka: float | None
    cka_low: float | None = None
    """Release 0.1 made no intervals."""
    cka_high: float | None = None
    mutual_knn: float | None
    mutual_knn_low: float | None = None
    mutual_knn_high: float | None = None
    procrustes: float | None
    """A distance: lower is more alike."""
    procrustes_low: float | None = None
    procrustes_high: float | None = None
    n: int
    """Images that both have."""
    used: int
    neighbours: int
    mutual_knn_by_chance: float

    def measure(self, name: str) -> Likeness | None:
        """Return `cka`, `mutual_knn` or `procrustes` with what belongs to it; None where it is not defined."""
        value = getattr(self, name)
        if value is None:
            return None
        return Likeness(value, *(getattr(self, f"{name}_{part}", None) for part in ("p", "low", "high")))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlikeRecord(LikenessRecord):
    """Two models on the images that both have, with p-values against features of shuffled images."""

    a: str
    b: str
    cka_p: float | None
    mutual_knn_p: float | None
    procrustes_p: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityRecord:
    """Every two models of one dataset."""

    pairs: tuple[AlikeRecord, ...]
    permutations: int
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> SimilarityRecord:
        """Return a small, complete record: two models that are alike by neighbours."""
        pair = AlikeRecord(
            a="one",
            b="two",
            cka=0.5,
            cka_p=0.005,
            cka_low=0.25,
            cka_high=0.75,
            mutual_knn=0.625,
            mutual_knn_p=0.005,
            mutual_knn_low=0.5,
            mutual_knn_high=0.75,
            procrustes=0.875,
            procrustes_p=0.005,
            n=60,
            used=60,
            neighbours=10,
            mutual_knn_by_chance=0.1695,
        )
        return cls(pairs=(pair,), permutations=200, seed=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRecord(LikenessRecord):
    """A model beside a reference: its network with random weights, or itself on mirrored images."""

    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencesRecord:
    """Reference values to read similarities against, of one model on one dataset."""

    references: tuple[ReferenceRecord, ...]
    missing: Mapping[str, str]
    """Reference -> why it could not be made."""
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> ReferencesRecord:
        """Return a small, complete record: one reference that was made, and one that was not."""
        made = ReferenceRecord(
            reference="random weights",
            cka=0.125,
            cka_low=0.0625,
            cka_high=0.25,
            mutual_knn=0.5,
            procrustes=None,
            n=60,
            used=60,
            neighbours=10,
            mutual_knn_by_chance=0.1,
        )
        return cls(references=(made,), missing={"mirrored images": "the images are gone"}, seed=0)
