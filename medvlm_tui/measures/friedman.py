"""Friedman's test of k models over N data sets, with p-values that hold for few data sets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import f as f_distribution
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Method = Literal["exact", "Iman-Davenport", "chi2"]

MANY_DATASETS = 10
"""From here on the chi2 distribution is near enough."""
EXACT_MODELS = 5
"""Up to this many models every order within every data set is counted: 5! = 120 a data set."""


@dataclass(frozen=True, slots=True)
class Friedman:
    """Friedman's test of whether models have equal ranks."""

    chi2: float
    """Friedman's statistic, corrected for ties."""
    iman_davenport: float | None
    """F = (N - 1) chi2 / (N (k - 1) - chi2) with k - 1 and (k - 1)(N - 1) degrees of freedom; None where every data set
    has the same order, and F is infinite."""
    p_value: float
    method: Method
    """Method by which `p_value` was computed."""


def friedman(scores: Floats) -> Friedman:
    """Return the test of (N, k) scores.

    The p-value is exact below MANY_DATASETS data sets with up to EXACT_MODELS models, by Iman and Davenport (1980)
    with more models, by chi2 with more data sets.
    """
    n, k = scores.shape
    ranks = np.asarray(rankdata(-scores, axis=1), dtype=np.float64)
    chi2 = _chi2(ranks)
    rest = n * (k - 1) - chi2
    statistic = (n - 1) * chi2 / rest if rest > 1e-9 else None
    if n >= MANY_DATASETS:
        return Friedman(chi2, statistic, float(chi2_distribution.sf(chi2, k - 1)), "chi2")
    if k <= EXACT_MODELS:
        return Friedman(chi2, statistic, _exact(ranks), "exact")
    # With one order everywhere the approximation would say 0: the chance of that order is what remains.
    floor = float(math.factorial(k)) ** (1 - n)
    p_value = floor if statistic is None else float(f_distribution.sf(statistic, k - 1, (k - 1) * (n - 1)))
    return Friedman(chi2, statistic, max(p_value, floor), "Iman-Davenport")


def _chi2(ranks: Floats) -> float:
    """Return (k - 1) sum_j (R_j - N (k + 1) / 2)^2 over the ranks' own sum of squares about their mean."""
    n, k = ranks.shape
    middle = (k + 1) / 2
    spread = float(((ranks - middle) ** 2).sum())
    if spread == 0:
        return 0.0
    return float((k - 1) * ((ranks.sum(axis=0) - n * middle) ** 2).sum() / spread)


def _exact(ranks: Floats) -> float:
    """Return the share of all orders within the data sets whose rank sums differ at least as much as the observed."""
    doubled = np.round(2 * ranks).astype(np.int64)
    observed = int((doubled.sum(axis=0) ** 2).sum())
    # By symmetry the sums may be kept sorted, and the first data set in one order.
    sums: Ints = np.sort(doubled[:1], axis=1)
    share: Floats = np.ones(1)
    for row in doubled[1:]:
        orders = np.array(list(permutations(row.tolist())), dtype=np.int64)
        every = np.sort((sums[:, None, :] + orders[None]).reshape(-1, doubled.shape[1]), axis=1)
        weight = np.repeat(share / len(orders), len(orders))
        sums, place = np.unique(every, axis=0, return_inverse=True)
        share = np.asarray(np.bincount(place.ravel(), weights=weight), dtype=np.float64)
    return float(min(1.0, share[(sums**2).sum(axis=1) >= observed].sum()))
