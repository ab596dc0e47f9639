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
