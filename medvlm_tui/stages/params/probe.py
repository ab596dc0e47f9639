"""Parameters of the division of images, and of the classification of features."""

from __future__ import annotations

from dataclasses import dataclass, field

from medvlm_tui.stages.option import Check, Option, at_least, follows, option
from medvlm_tui.stages.request import SPLIT


@dataclass(frozen=True, slots=True)
class SplitParams:
    """Parameters of the division of images; the same for every model."""

    hold_out: float = option(
        0.2,
        Option(
            "hold_out",
            "share of the images held out for the test, 0 to 1",
            "SHARE",
            check=Check("must lie between 0 and 1", lambda share: 0 < share < 1),
            section=SPLIT,
        ),
    )
    folds: int = option(5, Option("folds", "number of cross-validation folds", "N", check=at_least(2), section=SPLIT))
    seed: int = follows(0, "seed")


@dataclass(frozen=True, slots=True)
class ProbeParams:
    """Parameters of the classification of features."""

    protocol: str = "paper"
    """One of PROTOCOLS."""
    split: SplitParams = field(default_factory=SplitParams)
