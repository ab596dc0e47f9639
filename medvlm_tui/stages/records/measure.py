"""One number of an experiment on images, with its interval and its chance level."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One number with its 95 % interval over images."""

    name: str
    condition: str
    value: float
    low: float | None
    """None where there are too few images for an interval (measures/intervals.py)."""
    high: float | None
    n: int
    chance: float | None = None
    """Value that features would give which hold nothing of it."""
    words: tuple[str, ...] = ()
    """The words that were drawn for it."""

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval; the value itself where there are too few images for one."""
        return (self.value if self.low is None else self.low, self.value if self.high is None else self.high)
