"""Data of the bias screen: the measures of a model by name, and the images whose predicted class a word changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.stages.records.bias import EVERY_CONTROL, BiasGroupsRecord, BiasRecord

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored


@dataclass(frozen=True, slots=True)
class Value:
    """One number of the lab with its 95 % interval."""

    value: float
    low: float | None
    """None where there are too few images for an interval."""
    high: float | None
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class ModelBias:
    """One model's row of the ranking."""

    model: str
    name: str
    group: str
    """Safe to show, as are the conditions of `values`."""
    values: Mapping[tuple[str, str], Value]
    """(measure, condition) -> number."""

    def get(self, measure: str, condition: str) -> Value | None:
        """Return one number, None where the lab did not measure it."""
        return self.values.get((measure, condition))

    @property
    def over_control(self) -> Value | None:
        """Shift of the features by the word minus the largest shift by a control."""
        return self.get("shift_over_control", EVERY_CONTROL)

    @property
    def decodability(self) -> list[tuple[str, Value]]:
        """Pair of words -> how well features tell them apart."""
        return [(pair, value) for (name, pair), value in self.values.items() if name == "decodability"]


@dataclass(frozen=True, slots=True)
class Flip:
    """A hold-out image whose predicted class the overlay changes; names are safe to show."""

    image: str
    """Id, to ask for its pixels."""
    label: str
    before: str
    after: str


def model_bias(model: str, name: str, group: str, record: BiasRecord) -> ModelBias:
    """Read a record of the lab."""
    values = {
        (one.name, clean(one.condition)): Value(one.value, one.low, one.high, one.chance) for one in record.measures
    }
    return ModelBias(model, name, group, values)


@dataclass(frozen=True, slots=True)
class GroupGap:
    """Medical models less general ones in one measure."""

    what: str
    """The measure and its condition, safe to show."""
    difference: float
    p_value: float
    """Of the permutation test in which models are exchanged, adjusted for all tests but the primary one."""
    primary: bool
    """The one test that was named in advance."""
    inside: int
    outside: int
    datasets: int


SORTS = ("shift", "over control", "flips", "decodability", "catalog")
# Name of a sort order -> the measure of the lab.
_MEASURES = {"shift": "shift", "over control": "shift_over_control", "flips": "flip_rate"}


def ranked(found: Sequence[ModelBias], sort: str) -> list[ModelBias]:
    """Return the models, the most biased first by what is asked for; what was not measured comes last."""
    return list(found) if sort == "catalog" else sorted(found, key=lambda one: -_strength(one, sort))


def _strength(one: ModelBias, sort: str) -> float:
    if sort == "over control":
        known = one.over_control
    elif sort == "decodability":
        known = max((value for _, value in one.decodability), key=lambda value: value.value, default=None)
    else:
        known = one.get(_MEASURES[sort], "text")
    return known.value if known is not None else float("-inf")


def group_gap(record: BiasGroupsRecord, sort: str) -> GroupGap | None:
    """Return what a comparison of groups says of the measure that a table is sorted by, None where it says nothing.

    Of several conditions it is the least telling one. By catalog, where no measure ranks, it is the primary test.
    """
    measure = _MEASURES.get(sort, "decodability" if sort == "decodability" else "shift_over_control")
    tests = [test for test in record.groups if (test.trait, test.measure) == ("medical", measure)]
    shown = {"shift": "text", "flip_rate": "text", "shift_over_control": EVERY_CONTROL}.get(measure)
    tests = [test for test in tests if shown in (None, test.condition)]
    if not tests:
        return None
    test = max(tests, key=lambda one: one.holm)
    return GroupGap(
        what=f"{measure.replace('_', ' ')} {clean(test.condition)}",
        difference=test.difference,
        p_value=test.holm,
        primary=test.primary,
        inside=test.inside,
        outside=test.outside,
        datasets=test.datasets,
    )


@dataclass(frozen=True, slots=True)
class ShownImage:
    """A stored picture of the lab, without and with an overlay, and what the overlay does."""

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    box: Sequence[int]
    """Place of the overlay: left, top, right, bottom."""
    said: str
    """The shift and the predictions, safe to show."""


def shown_image(found: Stored[BiasRecord], image: str, kind: str) -> ShownImage | None:
    """Return the pictures of an image under an overlay, None where the lab stored none of it."""
    record, arrays = found.record, found.arrays
    kept = [record.images[position] for position in record.shown]
    if image not in kept or kind not in record.kinds:
        return None
    at, number = kept.index(image), record.kinds.index(kind)
    position, pictures = record.shown[at], arrays["pictures"]
    before, after = (int(arrays["scores"][row, position].argmax()) for row in (0, 1 + number))
    names = [clean(name) for name in record.classes]
    classes = f"{names[before]} → {names[after]}" if position in record.flipped[kind] else f"stays {names[before]}"
    said = f"shift {float(arrays['shifts'][number, position]):.3f}, {classes}"
    return ShownImage(pictures[at, 0], pictures[at, 1 + number], arrays["boxes"][at].tolist(), said)


def flips(found: Stored[BiasRecord], kind: str) -> list[Flip]:
    """Return the images that an overlay flips, in the lab's order."""
    record, names = found.record, [clean(name) for name in found.record.classes]
    scores, labels = found.arrays["scores"], found.arrays["labels"]
    after = 1 + record.kinds.index(kind)
    return [
        Flip(
            record.images[position],
            names[int(labels[position])],
            names[int(scores[0, position].argmax())],
            names[int(scores[after, position].argmax())],
        )
        for position in record.flipped[kind]
    ]
