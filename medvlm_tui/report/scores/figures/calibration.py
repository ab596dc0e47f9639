"""Reliability diagram: how often the classifier is right where it says that it is sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.report.figures.canvas import COLOURS, label, new_figure, save_chart, style
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import dataset_title, model_title

BINS = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of equal width over [0, 1]; empty ones have count 0 and NaN means."""

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    """Mean of each bin."""
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap, weighted by count (Guo et al. 2017)."""
        filled = self.count > 0
        gap = np.abs(self.accuracy - self.confidence)[filled]
        return float((gap * self.count[filled]).sum() / self.count.sum())


def reliability(confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Return the bins of calibrated probabilities (n,) of the predicted class and whether it was right (n,)."""
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(index, weights=confidence, minlength=bins) / count
        right = np.bincount(index, weights=correct, minlength=bins) / count
    return Reliability(count, means, right)


def draw_calibration(path: Path, cell: Cell, folds: Sequence[Reliability]) -> None:
    """Write the bins of every fold's classifier on the hold-out, the diagonal, and the images by confidence."""
    with style():
        figure = new_figure(4.2, 4.6)
        upper, lower = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
        upper.plot([0, 1], [0, 1], color="#B0B0B0", linewidth=0.8)
        for fold in folds:
            filled = fold.count > 0
            # Area by count: a bin of one image is no finding.
            sizes = np.clip(60 * fold.count[filled] / fold.count.max(), 1, None)
            upper.scatter(fold.confidence[filled], fold.accuracy[filled], s=sizes, color=COLOURS[0], alpha=0.5, lw=0)
        centres = (np.arange(len(folds[0].count)) + 0.5) / len(folds[0].count)
        mean_count = np.mean([fold.count for fold in folds], axis=0)
        lower.bar(centres, mean_count, width=0.9 / len(centres), color=COLOURS[0], alpha=0.6)
        upper.set(ylabel="share that is right", xlim=(0, 1), ylim=(-0.02, 1.02))
        lower.set(xlabel="calibrated probability of the predicted class", ylabel="images")
        for axes in (upper, lower):
            axes.spines[["top", "right"]].set_visible(False)
        errors = [fold.error for fold in folds]
        head = f"{label(model_title(cell.model), 26)} · {label(dataset_title(cell.dataset), 30)}"
        second = f"protocol {label(cell.protocol)} · calibration error {np.mean(errors):.3f} ± {np.std(errors):.3f}"
        figure.suptitle(f"{head}\n{second}", x=0.01, ha="left", fontsize=9)
        save_chart(figure, path, _parameters(cell, errors))


def _parameters(cell: Cell, errors: Sequence[float]) -> dict[str, object]:
    return {
        "model": cell.model.id,
        "dataset": cell.dataset.spec.id,
        "label_view": cell.dataset.view,
        "protocol": cell.protocol,
        "errors": list(errors),
        "key": cell.probe_key,
        "synthetic": cell.dataset.spec.synthetic,
    }
