"""Two models on the same held-out images: tests and intervals of the differences of their scores.

Over one hold-out an interval is over its images; over several it is the corrected resampled one of the mean, and an
image is exchanged in every hold-out that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.comparison.common_images import CommonImages, Predicted
from medvlm_tui.engine.comparison.several_hold_outs import SeveralHoldOuts
from medvlm_tui.measures.exchange import Images, OneHoldOut, Outputs, exchange_over_hold_outs
from medvlm_tui.measures.influence import Influence, influences, variance
from medvlm_tui.measures.paired_scores import draws_p_value, score_difference, smallest_seen
from medvlm_tui.measures.paired_tests import McNemar, mcnemar
from medvlm_tui.measures.repeats import repeated_difference, smallest_repeated_difference
from medvlm_tui.measures.score_intervals import draws_variance
from medvlm_tui.measures.sign_flips import draws_needed
from medvlm_tui.stages.params.comparison import ComparisonParams

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Compared:
    """One model on the common images of one hold-out."""

    predicted: Predicted
    outputs: Outputs
    scores: Mapping[str, Influence]
    """Metric -> mean over the folds' classifiers, and how each image moves it."""

    @classmethod
    def of(cls, common: CommonImages) -> list[Compared]:
        """Return every model of a hold-out."""
        return [
            cls(model, Outputs.of(model.scores), influences(common.codes, model.scores, common.positive))
            for model in common.models
        ]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first model's score less the second's, over all hold-outs."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided, not adjusted."""
    smallest_seen: float | None
    resampled_p: float | None = None
    """Of the corrected resampled t test over several hold-outs."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same images."""

    a: str
    b: str
    mcnemar: McNemar | None
    """Of the final classifiers, on the first hold-out."""
    differences: Mapping[str, Difference]
    """Metric -> a's score less b's."""


@dataclass(frozen=True, slots=True)
class Tested:
    """Settings that every pair of a step is compared by."""

    held: SeveralHoldOuts
    images: tuple[Images, ...]
    """Of each hold-out."""
    params: ComparisonParams
    pairs: int
    """Number of pairs: the family of the correction."""

    @classmethod
    def of(cls, held: SeveralHoldOuts, params: ComparisonParams) -> Tested:
        """Return the basis of the comparisons of all models of some hold-outs."""
        images = tuple(Images(part.codes, len(part.classes), part.positive, part.groups) for part in held.parts)
        models = len(held.first.models)
        return cls(held, images, params, models * (models - 1) // 2)


def compare(tested: Tested, first: Sequence[Compared], second: Sequence[Compared]) -> Pair:
    """Return two models compared, each as it is on every hold-out."""
    parts = [
        OneHoldOut(images, one.outputs, other.outputs, tested.held.local_units(number))
        for number, (images, one, other) in enumerate(zip(tested.images, first, second, strict=True))
    ]
    draws = draws_needed(tested.pairs, tested.params.alpha)
    p_values = exchange_over_hold_outs(parts, draws, tested.params.seed)
    differences = {}
    for name, p_value in p_values.items():
        gains = _draws(first, second, name)
        found = _difference(tested, first, second, name, gains)
        if gains is not None:
            p_value = max(p_value, _with_draws(tested, first, second, name, gains))
        differences[name] = replace(found, p_value=p_value)
    test, a, b = None, first[0].predicted, second[0].predicted
    if a.final is not None and b.final is not None:
        codes = tested.held.first.codes
        test = mcnemar(a.final == codes, b.final == codes)
    return Pair(a.model, b.model, test, differences)


def _difference(
    tested: Tested, first: Sequence[Compared], second: Sequence[Compared], name: str, gains: Floats | None
) -> Difference:
    """Return the difference of a score with its interval, and no p-value yet: over one hold-out's images, or over
    several hold-outs."""
    params, held = tested.params, tested.held
    if len(held.parts) == 1:
        one, other, codes = first[0].scores[name], second[0].scores[name], held.first.codes
        spread = draws_variance(None if gains is None else gains.tolist())
        found = score_difference(one, other, codes, held.first.groups, params.confidence, spread)
        smallest = smallest_seen(found, params.alpha, tested.pairs)
        return Difference(found.value, found.low, found.high, 1.0, smallest)
    ours, theirs = (np.array([model.scores[name].value for model in models]) for models in (first, second))
    over = repeated_difference(ours, theirs, held.sizes, params.confidence)
    smallest = smallest_repeated_difference(ours - theirs, held.sizes, params.alpha, tested.pairs)
    return Difference(over.value, over.low, over.high, 1.0, smallest, over.p_value)


def _draws(first: Sequence[Compared], second: Sequence[Compared], metric: str) -> Floats | None:
    """Return the differences (F,) of two models' draws of training images, which are the same, as means over the
    hold-outs; None without draws."""
    found = []
    for one, other in zip(first, second, strict=True):
        if one.predicted.draws is None or other.predicted.draws is None:
            return None
        found.append(np.array(one.predicted.draws[metric]) - np.array(other.predicted.draws[metric]))
    mean: Floats = np.mean(found, axis=0)
    return mean


def _with_draws(
    tested: Tested, first: Sequence[Compared], second: Sequence[Compared], name: str, gains: Floats
) -> float:
    """Return the p-value of a difference that the draws of training images move, too."""
    held = tested.held
    moves = [
        one.scores[name].per_image - other.scores[name].per_image for one, other in zip(first, second, strict=True)
    ]
    if len(moves) == 1:
        spread = variance(moves[0], held.first.codes, held.first.groups)
    else:
        spread = variance(held.mean_sums(moves), None, None)
    value = float(
        np.mean([one.scores[name].value - other.scores[name].value for one, other in zip(first, second, strict=True)])
    )
    return draws_p_value(value, spread, gains, held.units)
