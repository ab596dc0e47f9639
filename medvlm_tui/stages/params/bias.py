"""The bias lab: what is drawn into images, and into how many."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.stages.option import Check, Option, at_least, between, follows, option
from medvlm_tui.stages.params.saliency import Fill

# The bias lab's overlays: the word itself, then controls with the ink of the word.
OVERLAYS = ("text", "box", "scrambled", "lines", "calipers")
POSITIONS = ("top_left", "top_right", "bottom_left", "bottom_right", "top", "bottom", "centre")
_WORDS = Check("must have two words or more, none of them empty", lambda words: len(words) >= 2 and all(words))
_SIZE = Check("must be above 0 and at most 0.5", lambda share: 0 < share <= 0.5)
_MASKS = Check("must be 0 or at least 2", lambda masks: masks == 0 or masks >= 2)


@dataclass(frozen=True, slots=True)
class BiasParams:
    """The words that the bias lab draws into images, and the number of images that it takes."""

    words: tuple[str, ...] = option(
        ("BREAST", "AXILLA", "LEFT", "RIGHT"),
        Option("bias_words", "words drawn into the images, at least two", "LIST", check=_WORDS),
    )
    """Pairs (0, 1) and (2, 3) are told apart; class c's own word is number c modulo their count."""
    position: str = option(
        "bottom_left", Option("bias_position", "position of the words in the image", choices=POSITIONS)
    )
    height: float = option(
        0.08, Option("bias_size", "font size as a share of the image's short side", "SHARE", check=_SIZE)
    )
    """Font size over the image's short side."""
    contrast: float = option(
        1.0,
        Option("bias_contrast", "contrast of the words: 1 is white, 0 is invisible", "SHARE", check=between(0, 1)),
    )
    """1 is white ink, 0 is invisible."""
    controls: tuple[str, ...] = option(
        OVERLAYS[1:],
        Option(
            "bias_controls",
            "control overlays with as much ink as a word",
            "LIST",
            choices=OVERLAYS[1:],
            default_words="all",
        ),
    )
    """Drawn with the ink of the first word."""
    train_per_class: int = option(
        40, Option("bias_train", "training images per class of the bias lab", "N", check=at_least(2))
    )
    test_per_class: int = option(
        20, Option("bias_test", "hold-out images per class of the bias lab", "N", check=at_least(2))
    )
    """Images of the hold-out, drawn with the seed."""
    neighbours: int = 10
    levels: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Share of training images whose word is their class's."""
    rise_masks: int = option(
        256, Option("bias_masks", "masks per saliency map of the bias lab, 0 for no maps", "N", check=_MASKS)
    )
    """Reduced masks for each explained image; 0 leaves the maps out."""
    rise_images: int = option(
        2, Option("bias_images", "explained images per class of the bias lab", "N", check=at_least(1))
    )
    """Explained images per class."""
    rise_removed: int = option(
        2,
        Option(
            "bias_removed",
            "how many of these images per class are explained again without the word",
            "N",
            check=Check("must be 0 or more", lambda count: count >= 0),
        ),
    )
    """Of these, images per class that are explained again after the word was taken out in each way."""
    rise_fill: Fill = follows("mean", "rise_fill")
    """Value of a masked pixel of these images."""
    seed: int = follows(0, "seed")
