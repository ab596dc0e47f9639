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


@dataclass(frozen=True, slots=True)
class ReadingParams:
    """Parameters of `reading`: words drawn into images as the bias lab draws them, compared with the words as texts."""

    words: tuple[str, ...] = follows(("BREAST", "AXILLA", "LEFT", "RIGHT"), "bias_words")
    position: str = follows("bottom_left", "bias_position")
    height: float = follows(0.08, "bias_size")
    contrast: float = follows(1.0, "bias_contrast")
    controls: tuple[str, ...] = follows(("box", "scrambled", "lines", "calipers"), "bias_controls")
    test_per_class: int = follows(20, "bias_test")
    templates: tuple[str, ...] = ("{}", "the word {}", "an image with the word {}")
    """Texts of a word; their unit vectors are averaged, as those of a class are."""
    seed: int = follows(0, "seed")
