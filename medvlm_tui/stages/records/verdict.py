"""The stored part of a verdict: which models of one dataset the held-out images do not separate from the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.stages.params.verdict import VerdictParams


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRecord:
    """One model among those of its dataset."""

    model: str
    accuracy: float
    """Mean over the folds' classifiers on the held-out images that all models share, and over the hold-outs."""
    inside: bool
    """The model belongs to the confidence set."""
    p_value: float
    """Of the model confidence set: the model is inside where it is above 1 - level."""
    behind: float
    """Accuracy of the best model less its own; 0 for the best."""
    behind_low: float
    behind_high: float
    """The interval of `behind`."""
    smallest_seen: float | None
    """The smallest difference to the best that would have been seen in four of five cases; None: none could be, or it
    is the best itself."""
    hold_outs_inside: int | None = None
    """On how many of several hold-outs the model is in the set of that hold-out alone; None with one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRecord(VerdictParams):
    """The model confidence set of one dataset under one protocol."""

    protocol: str
    n: int
    """Held-out images that all models share; different ones where there are several hold-outs."""
    left_out: int
    """Held-out images of the first model that another could not read, of all hold-outs together."""
    groups: int | None
    """Groups that were flipped whole under `grouped`."""
    too_few: bool
    """So few images, or groups, that no model could have been separated from another."""
    exhaustive: bool
    """All sign flips were tried."""
    seeds: int = 1
    """Hold-outs over which the models are compared."""
    candidates: tuple[CandidateRecord, ...]
    """By falling accuracy."""
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def best(self) -> CandidateRecord:
        """The model with the highest accuracy."""
        return self.candidates[0]

    @property
    def inside(self) -> tuple[CandidateRecord, ...]:
        """The models that are not separated from the best, itself among them."""
        return tuple(candidate for candidate in self.candidates if candidate.inside)

    @classmethod
    def example(cls) -> VerdictRecord:
        """Return a small, complete record: two models that are not separated, and one that is worse."""
        rows = (("one", 0.875, True, 1.0, 0.0), ("two", 0.8125, True, 0.5, 0.0625), ("three", 0.5, False, 0.01, 0.375))
        candidates = tuple(
            CandidateRecord(
                model=model,
                accuracy=accuracy,
                inside=inside,
                p_value=p_value,
                behind=behind,
                behind_low=behind - 0.125 if behind else 0.0,
                behind_high=behind + 0.125 if behind else 0.0,
                smallest_seen=0.125 if behind else None,
            )
            for model, accuracy, inside, p_value, behind in rows
        )
        return cls(
            protocol="paper", n=64, left_out=0, groups=None, too_few=False, exhaustive=False, candidates=candidates
        )
