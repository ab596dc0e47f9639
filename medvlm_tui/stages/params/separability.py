"""Parameters of `separability`: how well classes, or the values of a tag, lie apart in the full feature space."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.stages.option import follows


@dataclass(frozen=True, slots=True)
class SeparabilityParams:
    """Parameters of `separability`."""

    tag: str = ""
    """Empty: the classes."""
    neighbours: int = 15
    """Of kNN purity and hubness, the row itself not counted."""
    permutations: int = 200
    max_points: int = 5000
    seed: int = follows(0, "seed")
