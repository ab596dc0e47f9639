"""Stored result of the preprocessing lab: what each change does to one model on one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.stages.params.preprocessing import PreprocessingParams
from medvlm_tui.stages.records.measure import Measure

DEFAULT = "default"
"""Condition of the measures of unchanged images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRecord:
    """One change of the panel."""

    name: str
    place: str
    """read, image or frame."""
    changed: int
    """Number of hold-out images whose input it changes at all."""
    left_out: str = ""
    """Why nothing was measured; empty where something was."""
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessingRecord(PreprocessingParams):
    """The parameters of the lab and what it measured.

    Arrays, with v measured changes and n hold-out images: `retrained` and `transfer` (v + 1, n) whether each image is
    classified right, unchanged images first; `labels` (n,); `pictures` (v + 1, k, H, W, 3) of the shown images.
    """

    classes: tuple[str, ...]
    images: tuple[str, ...]
    """Ids of the lab's hold-out images."""
    shown: tuple[int, ...]
    """Position in `images` of each stored picture."""
    measured: tuple[str, ...]
    """Names of the changes that were measured, in the order of the arrays."""
    changes: tuple[VariantRecord, ...]
    default: tuple[Measure, ...]
    """Measures of the unchanged images."""
    t: float
    """Of the classifiers: C = t d / N, as the cell's probe chose it."""
    n_train: int
    n_test: int
    duplicates: int
    """Hold-out images that have a twin among the lab's images, and no part in the comparison with neighbours."""
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def by_name(self) -> Mapping[tuple[str, str], Measure]:
        """(measure, change) -> the measure."""
        every = (*self.default, *(measure for change in self.changes for measure in change.measures))
        return {(measure.name, measure.condition): measure for measure in every}

    @classmethod
    def example(cls) -> PreprocessingRecord:
        """Return a small record with every field filled."""
        return cls(
            variants=("jpeg:25", "window:percentiles"),
            train_per_class=3,
            test_per_class=2,
            classes=("none", "smooth"),
            images=("none/0.png", "none/1.png", "smooth/2.png", "smooth/3.png"),
            shown=(0,),
            measured=("jpeg:25",),
            changes=(
                VariantRecord(name="jpeg:25", place="image", changed=4, measures=_example("jpeg:25")),
                VariantRecord(
                    name="window:percentiles", place="read", changed=0, left_out="it changes none of 4 images"
                ),
            ),
            default=(Measure("accuracy", DEFAULT, 0.75, 0.3, 0.95, 4, 0.5),),
            t=1.0,
            n_train=6,
            n_test=4,
            duplicates=1,
            seconds=1.5,
        )


def _example(name: str) -> tuple[Measure, ...]:
    values = {
        "shift": 0.19, "shift_over_nearest": 0.42, "match1": 0.75, "flip_rate": 0.25, "accuracy_retrained": 0.75,
        "accuracy_transfer": 0.5, "accuracy_reverse": 0.5, "loss_of_information": 0.0, "loss_of_fit": 0.25,
    }  # fmt: skip
    return tuple(Measure(measure, name, value, value - 0.1, value + 0.1, 4) for measure, value in values.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRanks:
    """The order of the models under one change, by one way of training, against their order on unchanged images."""

    change: str
    """Name of the change."""
    way: str
    """retrained or transfer."""
    accuracies: tuple[float, ...]
    """Of each model."""
    tau: float | None
    """Kendall's tau b to the order on unchanged images; None where all models are equal in one of the two."""
    low: float | None = None
    high: float | None = None
    reversed_pairs: int = 0
    """Pairs of models whose order is turned round, each difference with an interval that leaves out 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRanks:
    """The models of one dataset under every change that was measured for all of them."""

    dataset: str
    models: tuple[str, ...]
    unchanged: tuple[float, ...]
    """Accuracy of each model on unchanged images."""
    n: int
    """Hold-out images that all models share."""
    changes: tuple[ChangeRanks, ...]
    note: str = ""
    """Why there are no changes, where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessingRanksRecord:
    """The order of the models under each change, dataset by dataset."""

    datasets: tuple[DatasetRanks, ...]
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> PreprocessingRanksRecord:
        """Return a small, complete record: three models on one dataset under one change."""
        change = ChangeRanks(
            change="jpeg:25",
            way="transfer",
            accuracies=(0.5, 0.6, 0.7),
            tau=0.333,
            low=-0.3,
            high=1.0,
            reversed_pairs=0,
        )
        ranks = DatasetRanks(
            dataset="phantom", models=("one", "two", "three"), unchanged=(0.6, 0.55, 0.9), n=20, changes=(change,)
        )
        return cls(datasets=(ranks,), seed=0)
