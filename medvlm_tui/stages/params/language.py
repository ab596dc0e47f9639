"""Parameters of the analyses of texts and images together."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.stages.option import follows


@dataclass(frozen=True, slots=True)
class ZeroShotParams:
    """Classification by the cosines of images and the texts of their classes."""

    confidence: float = 0.95
    permutations: int = 999
    """Of the classes' names, for the score that names given at random would have."""
    seed: int = follows(0, "seed")


@dataclass(frozen=True, slots=True)
class AlignmentParams:
    """Parameters of `alignment`: how texts and images lie in their common space."""

    set_name: str = "ensemble"
    """The set of prompts whose class vectors are the texts."""
    permutations: int = 999
    resamples: int = 400
    """Of the images, class by class, for the intervals."""
    max_points: int = 3000
    """Images drawn by class for pairs of an image and a text."""
    seed: int = follows(0, "seed")
