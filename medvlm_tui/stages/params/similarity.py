"""Parameters of `similarity`: how alike the models of a run see one dataset."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.stages.option import follows


@dataclass(frozen=True, slots=True)
class SimilarityParams:
    """Parameters of the comparison of two models on one dataset."""

    neighbours: int = 10
    permutations: int = 200
    max_points: int = 1000
    """Stratified; CKA keeps a Gram of 1,000 x 1,000 a model."""
    seed: int = follows(0, "seed")


@dataclass(frozen=True, slots=True)
class ReferenceParams:
    """References of a model's similarities to others, on the images that `SimilarityParams` takes."""

    neighbours: int = 10
    max_points: int = 1000
    seed: int = follows(0, "seed")
    """Of the random weights too."""
