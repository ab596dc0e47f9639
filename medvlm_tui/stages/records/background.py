"""Stored result of background: what a classifier knows where the lesion is covered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.stages.params.background import BackgroundParams
from medvlm_tui.stages.records.measure import Measure

WHOLE, POSITION = "whole", "position"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundRecord(BackgroundParams):
    """The parameters and what was measured, on images with lesion masks alone.

    Arrays, with c conditions and n hold-out images: `right` (c, n) whether each image is classified right; `labels`
    (n,); `pictures` (c - 1, k, H, W, 3) of the shown images under each condition but `position`.
    """

    classes: tuple[str, ...]
    """Those that have images with lesions on both sides of the hold-out."""
    images: tuple[str, ...]
    """Ids of the hold-out images."""
    shown: tuple[int, ...]
    """Position in `images` of each stored picture."""
    conditions: tuple[str, ...]
    """`whole`, then for each fill `covered FILL`, `moved FILL`, `only FILL`, last `position`."""
    measures: tuple[Measure, ...]
    side_share: float
    """Side of the square over the image's short side."""
    overlap: float
    """Mean share of the lesion's box that the square elsewhere hides: above 0 where images have no room for it."""
    cut_off: float
    """Mean share of the square elsewhere that the model's crop cuts off."""
    left_out: Mapping[str, int]
    """Reason -> number of images that have no part."""
    t: float
    """Of the classifiers: C = t d / N, as the cell's probe chose it."""
    n_train: int
    n_test: int
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def by_name(self) -> Mapping[tuple[str, str], Measure]:
        """(measure, condition) -> the measure."""
        return {(measure.name, measure.condition): measure for measure in self.measures}

    @classmethod
    def example(cls) -> BackgroundRecord:
        """Return a small record with every field filled."""
        values = {
            ("accuracy", WHOLE): (0.75, 0.5), ("accuracy", "covered mean"): (0.5, 0.5),
            ("accuracy", "moved mean"): (0.75, 0.5), ("accuracy", "only mean"): (0.75, 0.5),
            ("accuracy", POSITION): (0.5, 0.5), ("cost_of_cover", "mean"): (0.25, 0.0),
            ("shortcut_index", "mean"): (0.0, 0.0),
        }  # fmt: skip
        return cls(
            fills=("mean",),
            train_per_class=3,
            test_per_class=2,
            classes=("smooth", "spiculated"),
            images=("smooth/0.png", "smooth/1.png", "spiculated/2.png", "spiculated/3.png"),
            shown=(0,),
            conditions=(WHOLE, "covered mean", "moved mean", "only mean", POSITION),
            measures=tuple(
                Measure(name, condition, value, value - 0.1, value + 0.1, 4, chance)
                for (name, condition), (value, chance) in values.items()
            ),
            side_share=0.4,
            overlap=0.02,
            cut_off=0.1,
            left_out={"no lesion mask": 2},
            t=1.0,
            n_train=6,
            n_test=4,
            seconds=1.5,
        )
