"""The model confidence set: the models that the data do not separate from the best one.

Hansen, Lunde and Nason, "The Model Confidence Set", Econometrica 79 (2011), with the range statistic. Its null
distribution comes from sign flips instead of a bootstrap: the sign of a unit (an image, or a group of images) is
flipped for all models together, so that the correlation of the models is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.measures.sign_flips import CHUNK, EXACT_UNITS, all_signs, drawn_signs

Floats = NDArray[np.float64]
DRAWS = 9_999


@dataclass(frozen=True, slots=True)
class ConfidenceSet:
    """Which of m models stay, and on what that rests."""

    inside: NDArray[np.bool_]
    """(m,) whether the model is in the set: its p-value is above 1 - level."""
    p_values: Floats
    """(m,) the largest p-value of the tests up to the one that removed the model; 1 for the model that is left last."""
    removal: tuple[int, ...]
    """The models in the order in which they are removed; the last one never is."""
    units: int
    """Number of units whose signs were flipped."""
    exhaustive: bool
    """All sign flips were tried, not a sample of them."""


def confidence_set(totals: Floats, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> ConfidenceSet:
    """Return the set of models that contains the best one with probability `level` or more.

    `totals` (u, m) is the score of each model summed over the images of each unit, larger is better; models are
    compared by the sum over units. As long as the models that are left differ by more than chance, the one that loses
    most clearly against another is removed. The test is exact where each unit's differences are symmetric around 0
    under the hypothesis of equal models. Raises ValueError without a model.
    """
    units, models = totals.shape
    if models == 0:
        raise ValueError("a confidence set needs a model")
    spread = _spread(totals)
    sums = totals.sum(axis=0)
    flipped = np.concatenate([signs @ totals for signs in _signs(units, draws, seed)])
    exhaustive = units <= EXACT_UNITS
    left, removed = list(range(models)), []
    p_values, largest = np.ones(models), 0.0
    while len(left) > 1:
        scale = spread[np.ix_(left, left)]
        losses = ((sums[left][None, :] - sums[left][:, None]) * scale).max(axis=1)
        worst = int(losses.argmax())
        largest = max(largest, _p_value(flipped[:, left], scale, float(losses[worst]), exhaustive))
        p_values[left[worst]] = largest
        removed.append(left.pop(worst))
    return ConfidenceSet(p_values > 1 - level, p_values, (*removed, *left), units, exhaustive)


def _spread(totals: Floats) -> Floats:
    """Return (m, m) one over the root of the summed squared differences of two models; 0 where they never differ."""
    products = totals.T @ totals
    own = np.diag(products)
    squared = own[:, None] + own[None, :] - 2 * products
    differ = squared > 1e-9 * np.maximum(own[:, None] + own[None, :], 1e-12)
    return np.where(differ, 1 / np.sqrt(np.where(differ, squared, 1.0)), 0.0)


def _signs(units: int, draws: int, seed: int) -> Iterator[Floats]:
    """Yield (rows, u) signs: all combinations of a few units, a sample for more."""
    if units <= EXACT_UNITS:
        yield all_signs(units).astype(np.float64)
    else:
        for signs in drawn_signs(units, draws, seed):
            yield signs.astype(np.float64)


def _p_value(flipped: Floats, scale: Floats, observed: float, exhaustive: bool) -> float:
    """Return the share of sign flips whose range statistic is at least the observed one."""
    extreme = 0
    for start in range(0, len(flipped), CHUNK):
        part = flipped[start : start + CHUNK]
        ranges = ((part[:, :, None] - part[:, None, :]) * scale).max(axis=(1, 2))
        extreme += int((ranges >= observed - 1e-9 * max(observed, 1e-3)).sum())
    return extreme / len(flipped) if exhaustive else (extreme + 1) / (len(flipped) + 1)
