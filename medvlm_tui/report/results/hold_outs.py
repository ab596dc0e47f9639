"""Scores over several hold-outs: a cell's means and corrected intervals, and what its pairs of models say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.measures.paired_tests import holm
from medvlm_tui.measures.repeats import (
    SCALE,
    HoldOuts,
    mean_over_hold_outs,
    rank_spread,
    repeated_difference,
    smallest_repeated_difference,
)
from medvlm_tui.report.results.cells import Cell, HoldOut, Interval, Metric
from medvlm_tui.report.scores.verdicts import Verdicts
from medvlm_tui.stages.records.comparison import DifferenceRecord, PairRecord

CONFIDENCE, ALPHA = 0.95, 0.05
Floats = NDArray[np.float64]


def over_hold_outs(cell: Cell, further: Sequence[HoldOut]) -> Cell:
    """Return the cell with the means over its own hold-out and the further ones; the cell itself without any.

    std becomes the mean of the hold-outs' stds, the interval the corrected resampled one; folds stay those of the
    first hold-out.
    """
    if not further:
        return cell
    every = (HoldOut(cell.seed, cell.t, cell.metrics, cell.final), *further)
    return replace(
        cell,
        metrics=tuple(_over(cell, metric, [one.metrics for one in every]) for metric in cell.metrics),
        final=tuple(_over(cell, metric, [one.final for one in every]) for metric in cell.final),
        interval=Interval(CONFIDENCE, None, seeds=len(every)),
        hold_outs=every,
    )


def _over(cell: Cell, metric: Metric, parts: Sequence[tuple[Metric, ...]]) -> Metric:
    found = [one for part in parts for one in part if one.name == metric.name]
    stds = [one.std for one in found if one.std is not None]
    means = [one.mean for one in found] + [None] * (len(parts) - len(found))
    sizes = HoldOuts(cell.n_test, cell.n_train)
    over = mean_over_hold_outs(means, sizes, SCALE.get(metric.name, 1.0), CONFIDENCE)
    if over is None:
        return replace(metric, mean=None, std=None, low=None, high=None)
    mean, (low, high) = over
    return replace(metric, mean=mean, std=float(np.mean(stds)) if stds else None, low=low, high=high)


def repeated_verdicts(cells: Sequence[Cell]) -> Verdicts | None:
    """Return what the hold-outs say of every two models of one dataset and protocol; None where they share only one.

    Corrected resampled t tests of each metric, adjusted by Holm over all pairs.
    """
    seeds = _common_seeds(cells)
    if len(cells) < 2 or len(seeds) < 2:
        return None
    pairs = [(a, b) for a, b in combinations(cells, 2)]
    tests: dict[str, list[DifferenceRecord]] = {}
    for metric in [one.name for one in cells[0].metrics]:
        scores = [(_scores(a, metric, seeds), _scores(b, metric, seeds)) for a, b in pairs]
        if any(one is None or other is None for one, other in scores):
            continue
        tests[metric] = _tests(pairs, scores)
    known = {
        frozenset((a.model.id, b.model.id)): PairRecord(
            a=a.model.id,
            b=b.model.id,
            mcnemar=None,
            differences={metric: found[number] for metric, found in tests.items()},
        )
        for number, (a, b) in enumerate(pairs)
    }
    return Verdicts(cells[0].protocol, ALPHA, cells[0].n_test, cells[0].n_test, False, known, seeds=len(seeds))


def rank_rows(cells: Sequence[Cell], metric: str = "accuracy") -> list[tuple[Cell, float, float, float]]:
    """Return each cell of one dataset and protocol with mean, lowest and highest rank over the common hold-outs."""
    seeds = _common_seeds(cells)
    scores = [_scores(cell, metric, seeds) for cell in cells]
    if len(cells) < 2 or len(seeds) < 2 or any(one is None for one in scores):
        return []
    mean, low, high = rank_spread(np.stack([one for one in scores if one is not None], axis=1))
    return [(cell, float(mean[i]), float(low[i]), float(high[i])) for i, cell in enumerate(cells)]


def _tests(
    pairs: Sequence[tuple[Cell, Cell]], scores: Sequence[tuple[Floats | None, Floats | None]]
) -> list[DifferenceRecord]:
    """Return the test of one metric for each pair, adjusted over all pairs."""
    found = []
    for (first, _), (one, other) in zip(pairs, scores, strict=True):
        assert one is not None
        assert other is not None
        sizes = HoldOuts(first.n_test, first.n_train)
        smallest = smallest_repeated_difference(one - other, sizes, ALPHA, len(pairs))
        found.append((repeated_difference(one, other, sizes, CONFIDENCE), smallest))
    adjusted = holm([difference.p_value for difference, _ in found])
    return [
        DifferenceRecord(
            value=difference.value,
            low=difference.low,
            high=difference.high,
            p_value=difference.p_value,
            holm=p,
            smallest_seen=smallest,
            method="corrected",
        )
        for (difference, smallest), p in zip(found, adjusted, strict=True)
    ]


def _common_seeds(cells: Sequence[Cell]) -> list[int]:
    """Return the seeds under which every cell has a result."""
    known = [{one.seed for one in cell.hold_outs} for cell in cells]
    return sorted(set.intersection(*known)) if known else []


def _scores(cell: Cell, metric: str, seeds: Sequence[int]) -> Floats | None:
    """Return the means (J,) of a metric over the folds' classifiers under each seed; None where one is undefined."""
    by_seed: Mapping[int, float | None] = {
        one.seed: next((m.mean for m in one.metrics if m.name == metric), None) for one in cell.hold_outs
    }
    values = [value for seed in seeds if (value := by_seed[seed]) is not None]
    return np.array(values) if len(values) == len(seeds) else None
