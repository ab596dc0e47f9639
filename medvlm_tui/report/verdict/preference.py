"""The order within a confidence set: by training data, then licence, then speed. No score is mixed of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medvlm_tui.core.specs import Dataset, ModelSpec

OPEN_LICENCES = ("MIT", "Apache-2.0", "BSD")
"""Beginnings of the catalog's licences that allow any use."""
RULE = "not trained on this dataset, then open licence and not gated, then images per second"


@dataclass(frozen=True, slots=True)
class Preferred:
    """One model of the set, in its place."""

    model: str
    place: int
    """From 1; models that nothing separates share a place."""
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model and what the order looks at."""

    model: ModelSpec
    images_per_second: float | None


def is_open(model: ModelSpec) -> bool:
    """Return whether the weights can be had and used without asking anyone."""
    return model.licence.startswith(OPEN_LICENCES) and "terms" not in model.licence and not model.gated


def preferred(candidates: Sequence[Candidate], dataset: Dataset) -> tuple[Preferred, ...]:
    """Return the models of a set in the order of RULE; an unknown speed comes last."""
    keys = [_key(candidate, dataset) for candidate in candidates]
    order = sorted(range(len(candidates)), key=lambda number: keys[number])
    places = {key: 1 + sum(other < key for other in keys) for key in keys}
    return tuple(
        Preferred(candidates[number].model.id, places[keys[number]], _reason(candidates[number], dataset))
        for number in order
    )


def _key(candidate: Candidate, dataset: Dataset) -> tuple[bool, bool, float]:
    rate = candidate.images_per_second
    return (
        dataset.spec.id in candidate.model.trained_on,
        not is_open(candidate.model),
        float("inf") if rate is None else -rate,
    )


def _reason(candidate: Candidate, dataset: Dataset) -> str:
    model, rate = candidate.model, candidate.images_per_second
    seen = "trained on this dataset" if dataset.spec.id in model.trained_on else "not known to be trained on it"
    licence = model.licence or "licence not stated"
    gated = ", gated" if model.gated else ""
    speed = "speed not measured" if rate is None else f"{rate:.3g} images per second"
    return f"{seen}; {licence}{gated}; {speed}"
