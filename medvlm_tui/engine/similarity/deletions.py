"""Intervals of similarities over images: the jackknife, which measures again with images left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from medvlm_tui.engine.similarity.measures import DebiasedCka, Ints, ProcrustesDistance, Wide

CONFIDENCE = 0.95
MOST_GROUPS = 100
"""Procrustes leaves out one image at a time up to this many images, then one of this many random groups."""
FEWEST_IMAGES = 5
_NO_SPREAD = 1e-9


def interval(
    value: float | None, left_out: Wide | None, least: float, most: float
) -> tuple[float, float] | tuple[None, None]:
    """Return value ± t s over images, s from the values with each image or group left out, cut to `least` and `most`.

    s^2 = (g - 1) / g times the sum of squares about their mean, with g values and g - 1 degrees of freedom. None
    where the value is not defined, for fewer than five images, or where leaving images out changes nothing.
    """
    if value is None or left_out is None or len(left_out) < FEWEST_IMAGES or not np.isfinite(left_out).all():
        return None, None
    g = len(left_out)
    spread = float(np.sqrt((g - 1) / g * ((left_out - left_out.mean()) ** 2).sum()))
    if spread < _NO_SPREAD:
        return None, None
    half = float(student.ppf(0.5 + CONFIDENCE / 2, g - 1)) * spread
    return max(least, value - half), min(most, value + half)


def cka_left_out(measure: DebiasedCka) -> Wide | None:
    """Return debiased CKA (n,) without each image; None where it is not defined."""
    n = len(measure.gram_x)
    if n < FEWEST_IMAGES or measure.norm is None:
        return None
    cross = _hsic_left_out(measure.gram_x, measure.gram_y)
    own = _hsic_left_out(measure.gram_x, measure.gram_x) * _hsic_left_out(measure.gram_y, measure.gram_y)
    return cross / np.sqrt(own) if (own > 0).all() else None


def _hsic_left_out(k: Wide, other: Wide) -> Wide:
    """Return the unbiased HSIC (n,) of two Grams without diagonals, without each row and column in turn."""
    m = len(k) - 1
    products = (k * other).sum(axis=1)
    sums_k, sums_other = k.sum(axis=1), other.sum(axis=1)
    total = products.sum() - 2 * products
    sums = (sums_k.sum() - 2 * sums_k) * (sums_other.sum() - 2 * sums_other)
    rows = sums_k @ sums_other - sums_k * sums_other - k @ sums_other - other @ sums_k + products
    found: Wide = (total + sums / ((m - 1) * (m - 2)) - 2 * rows / (m - 2)) / (m * (m - 3))
    return found


def neighbours_left_out(near_x: Ints, near_y: Ints) -> Wide | None:
    """Return the mean share of common neighbours (n,) without each image.

    `near_x` and `near_y` (n, k + 1): one neighbour more than is counted, which moves up where another is left out.
    None where there are too few images for that.
    """
    n, k = near_x.shape[0], near_x.shape[1] - 1
    if k < 1 or n < max(FEWEST_IMAGES, k + 2):
        return None
    own = np.array([np.isin(a, b).sum() for a, b in zip(near_x[:, :k], near_y[:, :k], strict=True)], dtype=np.float64)
    totals = own.sum() - own
    for row in range(n):
        for image in set(near_x[row, :k].tolist()) | set(near_y[row, :k].tolist()):
            if image != row:
                x, y = ([i for i in near[row].tolist() if i != image][:k] for near in (near_x, near_y))
                totals[image] += len(set(x) & set(y)) - own[row]
    shares: Wide = totals / ((n - 1) * k)
    return shares


def procrustes_left_out(measure: ProcrustesDistance, seed: int, check: Callable[[], None]) -> Wide | None:
    """Return Procrustes distances without each image, or without each of MOST_GROUPS random groups of them."""
    n = len(measure.axes_x)
    if n < FEWEST_IMAGES:
        return None
    order = np.arange(n) if n <= MOST_GROUPS else np.random.default_rng(seed).permutation(n)
    found = []
    for group in np.array_split(order, min(n, MOST_GROUPS)):
        check()
        value = _distance(*(np.delete(axes, group, axis=0) for axes in (measure.axes_x, measure.axes_y)))
        if value is None:
            return None
        found.append(value)
    return np.array(found)


def _distance(x: Wide, y: Wide) -> float | None:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    lengths: NDArray[np.float64] = np.array([np.linalg.norm(x), np.linalg.norm(y)])
    if not (lengths > 0).all():
        return None
    nuclear = float(np.linalg.svd(y.T @ x, compute_uv=False).sum() / lengths.prod())
    return max(0.0, 2.0 - 2.0 * nuclear)
