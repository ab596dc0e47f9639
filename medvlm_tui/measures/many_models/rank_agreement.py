"""Agreement of the order of several models before and after a change, on the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.measures.intervals import mean_interval

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
FEWEST_MODELS = 3
"""An order of two models is kept or turned round: that is no degree of agreement."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau b between two orders of models, with its bootstrap interval over images."""

    tau: float | None
    """None where all models are equal before or after."""
    low: float | None
    high: float | None
    reversed_pairs: int
    """Pairs of models of which one is better before and the other after, each by a difference whose interval leaves
    out 0."""


def rank_agreement(before: Flags, after: Flags, seed: int, resamples: int = 2000) -> Agreement:
    """Compare the orders of models by their share of right images, (models, images) before and after a change.

    The images are drawn again `resamples` times, the same for all models; the interval holds 95 % of the taus that are
    defined. Raises ValueError for fewer than FEWEST_MODELS models.
    """
    if len(before) < FEWEST_MODELS:
        raise ValueError(f"{len(before)} models have no agreement of ranks: at least {FEWEST_MODELS} have")
    n = before.shape[1]
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    drawn = kendall_tau(weights @ before.T, weights @ after.T)
    known = drawn[~np.isnan(drawn)]
    value = float(kendall_tau(before.sum(axis=1)[None].astype(float), after.sum(axis=1)[None].astype(float))[0])
    if np.isnan(value):
        return Agreement(None, None, None, _reversed(before, after))
    low, high = (float(end) for end in np.percentile(known, [2.5, 97.5]))
    return Agreement(value, low, high, _reversed(before, after))


def kendall_tau(first: Floats, second: Floats) -> Floats:
    """Return Kendall's tau b of each row of two arrays (..., models), NaN where a row has one value only."""
    signs = [np.sign(scores[..., :, None] - scores[..., None, :]) for scores in (first, second)]
    together = (signs[0] * signs[1]).sum(axis=(-2, -1))
    scale = np.sqrt((signs[0] ** 2).sum(axis=(-2, -1)) * (signs[1] ** 2).sum(axis=(-2, -1)))
    return np.asarray(np.divide(together, scale, out=np.full(np.shape(together), np.nan), where=scale > 0))


def _reversed(before: Flags, after: Flags) -> int:
    models = range(len(before))
    return sum(_better(before, a, b) and _better(after, b, a) for a in models for b in models)


def _better(right: Flags, a: int, b: int) -> bool:
    """Return whether model a is right more often than b, by a paired difference whose interval leaves out 0."""
    interval = mean_interval(right[a].astype(np.float64) - right[b])
    return interval is not None and interval[0] > 0
