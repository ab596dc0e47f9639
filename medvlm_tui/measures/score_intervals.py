"""Intervals of every score of a classifier on its hold-out, over images or whole groups of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.measures.influence import Influence, group_effect, influences, mean_influence, unit_count, variance
from medvlm_tui.measures.intervals import Interval, score_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def score_intervals(
    codes: Ints,
    scores: Floats,
    positive: int | None,
    groups: Ints | None = None,
    confidence: float = 0.95,
    draws: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Interval]:
    """Return metric -> interval of the mean over F classifiers, for classes (n,) and decision values (F, n, k).

    With `groups` (n,) whole groups are the independent units. `draws` are each metric's scores of the F classifiers
    where these were trained on draws of few images: their spread then counts too. Empty below five images.
    """
    found = influences(codes, scores, positive)
    wanted = {name: _interval(one, codes, groups, confidence, (draws or {}).get(name)) for name, one in found.items()}
    return {name: one for name, one in wanted.items() if one is not None}


def brier_interval(
    per_image: Floats, codes: Ints, groups: Ints | None = None, confidence: float = 0.95
) -> Interval | None:
    """Return the interval of the Brier score from its values for each image (n,), between 0 and 2."""
    found = _interval(mean_influence(per_image / 2), codes, groups, confidence, None)
    return None if found is None else (2 * found[0], 2 * found[1])


def _interval(
    one: Influence, codes: Ints, groups: Ints | None, confidence: float, draws: Sequence[float] | None
) -> Interval | None:
    n = len(codes)
    spread = variance(one.per_image, codes, groups) + draws_variance(draws)
    assumed = one.assumed_effect * group_effect(groups)
    return score_interval(one.value, spread, n, unit_count(n, groups), assumed, confidence)


def draws_variance(draws: Sequence[float] | None) -> float:
    """Return the variance of the mean of the scores (F,) of independent draws; 0 for none."""
    return 0.0 if draws is None or len(draws) < 2 else float(np.var(draws, ddof=1)) / len(draws)
