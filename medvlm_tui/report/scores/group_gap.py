"""Paper minus grouped: how much of a score goes when images of one group are kept on one side of every division."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from medvlm_tui.core.store.store import Store
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.cells import Cell
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
    """Accuracy of the same images under both trainings, each image by classifiers that were not trained on it."""

    paper: float
    grouped: float
    low: float | None
    """Interval of paper minus grouped over whole groups; None below five groups, and where no image's score differs."""
    high: float | None
    n: int
    groups: int


def gap_table(cells: Sequence[Cell], store: Store) -> Table:
    """Return leakage.csv; no rows where no cell has both protocols."""
    return Table("leakage", GAP, gap_rows(cells, store), "Paper minus grouped")


def gap_rows(cells: Sequence[Cell], store: Store) -> list[Row]:
    """Return the rows of leakage.csv for every cell with both protocols.

    `images` is `same` (accuracy of all images, with its interval over groups) or `two hold-outs` (each protocol's own:
    other images, hence without an interval).
    """
    grouped = {(c.model.id, c.dataset.spec.id): c for c in cells if c.protocol == "grouped"}
    rows: list[Row] = []
    for cell in cells:
        other = grouped.get((cell.model.id, cell.dataset.spec.id)) if cell.protocol == "paper" else None
        if other is not None:
            ids = (cell.model.id, cell.dataset.spec.id, cell.dataset.view)
            same = same_images_of(cell, other, store)
            if same is not None:
                gap = (same.paper, same.grouped, same.paper - same.grouped, same.low, same.high)
                rows.append((*ids, "accuracy", "same", *gap, same.n, same.groups, CONFIDENCE))
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


def same_images_of(cell: Cell, other: Cell, store: Store) -> SameImages | None:
    """Return the comparison of a `paper` and a `grouped` cell, None where they are not of the same features."""
    paper, strict = store.read(cell.probe_key, PROBE.record), store.read(other.probe_key, PROBE.record)
    if paper is None or strict is None or cell.table_key != other.table_key or "group" not in strict.arrays:
        return None
    return same_images(right(paper.arrays), right(strict.arrays), np.asarray(strict.arrays["group"]))


def right(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return for each image (n,) the share of classifiers not trained on it that are right: the classifier of the
    fold whose validation part it is in, or those of all folds where it is held out."""
    labels, held = arrays["labels"], arrays["hold_out"]
    share: NDArray[np.float64] = (arrays["predicted_validation"] == labels).astype(np.float64)
    share[held] = (arrays["predicted_test"] == labels[held]).mean(axis=0)
    return share


def same_images(paper: NDArray[np.float64], grouped: NDArray[np.float64], groups: NDArray[Any]) -> SameImages:
    """Return both means and the interval of their difference: Student's t over the sums of whole groups.

    `paper`, `grouped` and `groups` are (n,). The variance is that of a ratio of group totals (Cochran 1977, ch. 9).
    """
    gap, number = paper - grouped, np.unique(groups, return_inverse=True)[1].ravel()
    n, count = len(gap), int(number.max()) + 1
    low = high = None
    if count >= _FEWEST_GROUPS:
        sums = np.bincount(number, weights=gap - gap.mean())
        error = float(np.sqrt(count / (count - 1) * (sums**2).sum()) / n)
        reach = float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * error
        if error > 0.0:  # no finite sample supports an interval without width
            low, high = float(gap.mean() - reach), float(gap.mean() + reach)
    return SameImages(float(paper.mean()), float(grouped.mean()), low, high, n, count)
