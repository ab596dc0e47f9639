"""Statistics: intervals of one model's scores, and models beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.stages.option import follows


@dataclass(frozen=True, slots=True)
class StatisticsParams:
    """Intervals of one model's scores on the hold-out; nothing in them is drawn."""

    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class ComparisonParams:
    """Models beside each other, on one dataset and over all."""

    confidence: float = 0.95
    alpha: float = 0.05
    """Two models are told apart when their p-value, adjusted for all pairs, is below it."""
    seed: int = follows(0, "seed")
    """Of the exchanges that are drawn where all are too many."""
