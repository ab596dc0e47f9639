"""Stored scores of a probe; a further hold-out (`repeat`) stores the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.stages.params.probe import SplitParams


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRecord:
    """One metric over the folds' classifiers; null where it is undefined."""

    mean: float | None
    std: float | None
    """Divides by the number of folds."""
    folds: tuple[float | None, ...]
    """On the hold-out."""
    validation: tuple[float | None, ...] = ()
    """Of each fold's classifier on its validation part."""


Metrics = Mapping[str, MetricRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRecord:
    """Scores of a protocol without a grid of t at one of its settings."""

    setting: str
    """`k` or `shots`."""
    value: int | None
    """None: all training images."""
    n_train: int
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedRecord:
    """Choice of the tuned grid where the grid of the paper is separated."""

    t: float
    validation_macro_f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingRecord:
    """The groups of images that the protocol `grouped` keeps on one side."""

    kind: str
    """`dataset`: its group ids; `near_duplicates`: images that show the same picture."""
    groups: int
    shared: int
    """Groups of more than one image."""
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolRecord:
    """Results of a protocol itself: its scores and its choices. The defaults are those of one without a grid of t."""

    metrics: Metrics
    final_metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Of the final classifier; empty where the protocol fits none."""
    t_grid: tuple[float, ...] = ()
    t: float | None = None
    c: float | None = None
    separated: bool | None = None
    """No training error at any t of the grid; None in results of release 0.1, which called this saturated."""
    saturated: bool = False
    """Separated, and no predicted label of a validation part or of the hold-out depends on t."""
    tuned: TunedRecord | None = None
    converged: tuple[tuple[bool, ...], ...] = ()
    """(T, F) fits that reached the optimum."""
    gradient_norm: tuple[tuple[float, ...], ...] = ()
    final_converged: bool = True
    k: int | None = None
    """Neighbours that vote under `knn`: those with the best validation macro F1."""
    shots: int | None = None
    """Training images per class under `few_shot`."""
    draws: int | None = None
    """Draws of training images under `few_shot`, which take the place of folds."""
    readings: tuple[ReadingRecord, ...] = ()
    """One for each number of neighbours or of shots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRecord(ProtocolRecord):
    """The scores of one model on one dataset under one protocol.

    Arrays: the split, decision values and predictions of every classifier, their coefficients (docs/architecture.md).
    """

    classes: tuple[str, ...]
    protocol: str
    label_view: str
    positive: str
    """The positive class of two; empty with more."""
    n_train: int
    n_test: int
    d: int
    seed: int
    split: SplitParams = field(default_factory=SplitParams)
    grouping: GroupingRecord | None = None
    """None but under `grouped`."""
    warnings: tuple[str, ...]
    solved_on: tuple[str, ...] = ()
    """Devices that the SVM was solved on."""
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def without_training_error(self) -> bool:
        """Return whether no t of the grid has a training error."""
        return self.saturated if self.separated is None else self.separated

    @property
    def scores_of_draws(self) -> Mapping[str, tuple[float, ...]] | None:
        """Metric -> each draw's score under `few_shot`, None under any other protocol."""
        if self.protocol != "few_shot":
            return None
        return {name: tuple(v for v in found.folds if v is not None) for name, found in self.metrics.items()}

    @property
    def positive_index(self) -> int | None:
        """Index of the positive class of two, None with more."""
        return self.classes.index(self.positive) if self.positive else None

    @classmethod
    def example(cls) -> ProbeRecord:
        """Return a small, complete record: three classes, five folds, a saturated grid."""
        means = {"accuracy": 0.8125, "balanced_accuracy": 0.8125, "macro_f1": 0.8051, "auroc": 0.93, "ece": 0.1}
        metrics = {
            name: MetricRecord(mean=mean, std=0.021, folds=(mean,) * 5, validation=(mean,) * 5)
            for name, mean in means.items()
        }
        return cls(
            metrics=metrics,
            final_metrics={"accuracy": 0.8, "ece": None},
            t_grid=(1.0, 10.0),
            t=1.0,
            c=0.125,
            separated=True,
            saturated=True,
            tuned=TunedRecord(t=0.001, validation_macro_f1=0.875),
            converged=((True,) * 5,) * 2,
            gradient_norm=((1e-15,) * 5,) * 2,
            classes=("none", "smooth", "spiculated"),
            protocol="paper",
            label_view="",
            positive="",
            n_train=48,
            n_test=12,
            d=8,
            seed=0,
            warnings=(),
        )
