"""The verdict: the set of models that are not separated from the best."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.stages.option import follows


@dataclass(frozen=True, slots=True)
class VerdictParams:
    """The model confidence set of one dataset."""

    level: float = 0.95
    """Probability with which the set contains the best model."""
    draws: int = 9_999
    """Sign flips that are drawn where all are too many."""
    seed: int = follows(0, "seed")
    """Of the drawn sign flips."""
