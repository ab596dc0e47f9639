"""Framed images that later extractions of a run read again: what a plan says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medvlm_tui.core.specs import PreprocessSpec


@dataclass(frozen=True, slots=True)
class FramesWanted:
    """The images of a dataset in a framing that later extractions of a run read."""

    dataset: str
    framing: PreprocessSpec
    """As `framing_of` gives it."""
    models: int
    """Number of those extractions."""


def framing_of(spec: PreprocessSpec) -> PreprocessSpec:
    """Return a spec without mean and standard deviation: framed bytes do not depend on them."""
    return replace(spec, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
