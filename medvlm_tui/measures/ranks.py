"""Models over data sets: average ranks, Friedman's test, Nemenyi's critical difference, Holm's pairs (Demsar 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, studentized_range

from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.friedman import Method, friedman
from medvlm_tui.measures.paired_tests import holm

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """k models over N data sets; rank 1 is the best."""

    models: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    datasets: int
    chi2: float
    """Friedman's statistic, corrected for ties."""
    iman_davenport: float | None
    """Iman and Davenport's F; None where all data sets have one order, and F is infinite."""
    p_value: float
    method: Method
    """Method of `p_value`: exact, or by Iman and Davenport below ten data sets, where chi2 is rough."""
    critical_difference: float
    """Mean ranks further apart than this differ, by Nemenyi's test at level `alpha`."""
    alpha: float

    @property
    def pairs(self) -> int:
        """Return the number of pairs of models."""
        return math.comb(len(self.models), 2)

    @property
    def separable(self) -> tuple[tuple[str, str], ...]:
        """The pairs that Nemenyi's test tells apart, the better model first."""
        order = sorted(range(len(self.models)), key=lambda m: self.mean_ranks[m])
        return tuple(
            (self.models[a], self.models[b])
            for i, a in enumerate(order)
            for b in order[i + 1 :]
            if self.mean_ranks[b] - self.mean_ranks[a] > self.critical_difference
        )

    @property
    def cliques(self) -> tuple[tuple[str, ...], ...]:
        """The largest runs of models, by rank, that are not told apart: the bars of a critical difference diagram."""
        order = sorted(range(len(self.models)), key=lambda m: self.mean_ranks[m])
        ranks = [self.mean_ranks[m] for m in order]
        found: list[tuple[str, ...]] = []
        reached = 0
        for i, rank in enumerate(ranks):
            end = sum(other <= rank + self.critical_difference for other in ranks)
            if end > max(reached, i + 1):
                found.append(tuple(self.models[m] for m in order[i:end]))
                reached = end
        return tuple(found)


@dataclass(frozen=True, slots=True)
class RankPair:
    """Two models, the better one first."""

    first: str
    second: str
    difference: float
    """Of the mean ranks, zero or more."""
    nemenyi: float
    """p-value over the family of all pairs, by the studentised range."""
    holm: float
    """p-value of the difference as normal, adjusted by Holm over all pairs: the less conservative companion."""


def rank_pairs(ranking: Ranking) -> tuple[RankPair, ...]:
    """Return every pair of models with its p-values, the best models first."""
    k = len(ranking.models)
    error = math.sqrt(k * (k + 1) / (6 * ranking.datasets))
    order = sorted(range(k), key=lambda m: ranking.mean_ranks[m])
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    gaps = np.array([ranking.mean_ranks[b] - ranking.mean_ranks[a] for a, b in pairs])
    nemenyi = studentized_range.sf(gaps / error * math.sqrt(2), k, np.inf)
    adjusted = holm(2 * norm.sf(gaps / error))
    return tuple(
        RankPair(ranking.models[a], ranking.models[b], float(gap), min(1.0, float(p)), p_holm)
        for (a, b), gap, p, p_holm in zip(pairs, gaps, nemenyi, adjusted, strict=True)
    )


def rank_models(scores: Floats, models: Sequence[str], alpha: float = 0.05) -> Ranking:
    """Rank k >= 3 models by (N, k) scores, larger being better, over N >= 2 data sets; raises MedvlmError otherwise."""
    n, k = scores.shape
    if n < 2 or k < 3:
        raise MedvlmError(
            f"{k} models on {n} data sets cannot be ranked", "Friedman's test needs three models and two data sets"
        )
    ranks = np.apply_along_axis(rankdata, 1, -scores)
    test = friedman(scores)
    quantile = float(studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return Ranking(
        models=tuple(models),
        mean_ranks=tuple(float(r) for r in ranks.mean(axis=0)),
        datasets=n,
        chi2=test.chi2,
        iman_davenport=test.iman_davenport,
        p_value=test.p_value,
        method=test.method,
        critical_difference=quantile * math.sqrt(k * (k + 1) / (6 * n)),
        alpha=alpha,
    )
