"""Paper minus grouped: how much of a score goes when images of one group are kept on one side of every division."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from medvlm_tui.core.store.store import Store
from medvlm_tui.measures.influence import influences, variance
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.run_results import Gathered, made_once
from medvlm_tui.stages.probe import PROBE

GAP = (
    *texts("model", "dataset", "label_view", "metric", "images"),
    *numbers("paper", "grouped", "paper_minus_grouped", "ci_low", "ci_high", "n", "groups", "confidence"),
)
CONFIDENCE = 0.95
_FEWEST_GROUPS = 5
_NOT_HIGHER_IS_BETTER = ("ece", "brier")
"""Beginnings of the names of metrics that take no part: more is worse."""


@dataclass(frozen=True, slots=True)
class SameImages:
    """A score of the same images under both trainings, each image by classifiers that were not trained on it."""

    metric: str
    paper: float
    grouped: float
    low: float | None
    """Interval of paper minus grouped over whole groups; None below five groups, and where no image's score differs."""
    high: float | None
    n: int
    groups: int


@dataclass(frozen=True, slots=True)
class Outputs:
    """Decision values (F, n, k) of every image, each by classifiers that were not trained on it.

    Of an image that is held out by the classifiers of all folds, of any other F times by that of its own fold.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    """(n,) the images' classes."""


@made_once
def gap_table(results: Gathered) -> Table:
    """Return leakage.csv; no rows where no cell has both protocols."""
    return Table("leakage", GAP, gap_rows(results.cells, results.source.store), "Paper minus grouped")


def gap_rows(cells: Sequence[Cell], store: Store) -> list[Row]:
    """Return the rows of leakage.csv for every cell with both protocols.

    `images` is `same` (all images, with an interval over groups) or `two hold-outs` (each protocol's own: other images,
    hence without an interval).
    """
    grouped = {(c.model.id, c.dataset.spec.id): c for c in cells if c.protocol == "grouped"}
    rows: list[Row] = []
    for cell in cells:
        other = grouped.get((cell.model.id, cell.dataset.spec.id)) if cell.protocol == "paper" else None
        if other is not None:
            ids = (cell.model.id, cell.dataset.spec.id, cell.dataset.view)
            for same in same_images_of(cell, other, store):
                gap = (same.paper, same.grouped, same.paper - same.grouped, same.low, same.high)
                rows.append((*ids, same.metric, "same", *gap, same.n, same.groups, CONFIDENCE))
            rows += [(*ids, *row) for row in _hold_outs(cell, other)]
    return rows


def _hold_outs(cell: Cell, other: Cell) -> list[Row]:
    rows: list[Row] = []
    for metric in cell.metrics:
        strict = other.metric(metric.name)
        if metric.mean is None or strict is None or strict.mean is None:
            continue
        if not metric.name.startswith(_NOT_HIGHER_IS_BETTER):
            gap = (metric.mean, strict.mean, metric.mean - strict.mean)
            rows.append((metric.name, "two hold-outs", *gap, None, None, None, None, None))
    return rows


def same_images_of(cell: Cell, other: Cell, store: Store) -> list[SameImages]:
    """Return the comparisons of a `paper` and a `grouped` cell; none where they are not of the same features."""
    paper, strict = store.read(cell.probe_key, PROBE.record), store.read(other.probe_key, PROBE.record)
    if paper is None or strict is None or cell.table_key != other.table_key or "group" not in strict.arrays:
        return []
    positive, groups = strict.record.positive_index, np.asarray(strict.arrays["group"])
    return same_images(outputs(paper.arrays), outputs(strict.arrays), groups, positive)


def outputs(arrays: Mapping[str, NDArray[Any]]) -> Outputs:
    """Return the decision values of a probe's classifiers for the images that they were not trained on."""
    held, folds = arrays["hold_out"], len(arrays["scores_test"])
    scores = np.repeat(arrays["scores_validation"][None].astype(np.float64), folds, axis=0)
    scores[:, held] = arrays["scores_test"]
    return Outputs(scores, arrays["labels"].astype(np.int64))


def same_images(
    paper: Outputs, grouped: Outputs, groups: NDArray[Any], positive: int | None = None
) -> list[SameImages]:
    """Return the scores under both trainings and the interval of their difference.

    Student's t over the sums that whole groups (n,) have of the images' derivatives of the difference: for accuracy the
    variance of a ratio of group totals (Cochran 1977, ch. 9). `positive` is the positive class of two.
    """
    number = np.unique(groups, return_inverse=True)[1].ravel()
    n, count = len(number), int(number.max()) + 1
    reach = float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) if count >= _FEWEST_GROUPS else 0.0
    ours, theirs = (influences(each.labels, each.scores, positive) for each in (paper, grouped))
    found = []
    for metric in (name for name in ours if name in theirs):
        gap = ours[metric].value - theirs[metric].value
        error = float(np.sqrt(variance(ours[metric].per_image - theirs[metric].per_image, None, number)))
        sure = reach * error > 1e-12  # no finite sample supports an interval without width
        low, high = (max(-1.0, gap - reach * error), min(1.0, gap + reach * error)) if sure else (None, None)
        found.append(SameImages(metric, ours[metric].value, theirs[metric].value, low, high, n, count))
    return found
