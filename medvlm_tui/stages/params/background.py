"""Background: how the square that covers a lesion is made, and the number of images that it is drawn into."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.stages.option import Check, Option, at_least, follows, option

FILLS = ("mean", "noise", "blur")


@dataclass(frozen=True, slots=True)
class BackgroundParams:
    """The covering square and the images."""

    fills: tuple[str, ...] = option(
        ("mean", "noise"),
        Option(
            "cover_fills",
            "what the square is filled with: the mean colour of the rest, noise of its spread, or the blurred image",
            "LIST",
            choices=FILLS,
            check=Check("must name one fill or more", bool),
        ),
    )
    side: float = option(
        0.0,
        Option(
            "cover_side",
            "side of the square as a share of the image's short side; 0: the 90th percentile of the lesions' extents",
            "SHARE",
            check=Check("must be 0, or above 0 and at most 0.7", lambda share: 0 <= share <= 0.7),
        ),
    )
    train_per_class: int = option(
        100, Option("cover_train", "training images per class with a covered lesion", "N", check=at_least(2))
    )
    test_per_class: int = option(
        50, Option("cover_test", "hold-out images per class with a covered lesion", "N", check=at_least(2))
    )
    jitter: float = 0.05
    """Largest displacement of the square's centre from the lesion's, as a share of the short side."""
    resamples: int = 2000
    """Of the hold-out images, for the interval of the shortcut index."""
    seed: int = follows(0, "seed")
