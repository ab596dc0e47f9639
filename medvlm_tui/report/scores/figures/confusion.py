"""Confusion matrices: counts and row shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.report.figures.canvas import COLOUR_MAP, label, new_figure, save_chart, style
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import dataset_title, model_title

_MOST_NUMBERED = 16


def confusion_counts(truth: NDArray[np.integer], predicted: NDArray[np.integer], k: int) -> NDArray[np.int64]:
    """Return (k, k) counts of (true class, predicted class)."""
    return np.bincount(truth.astype(np.int64) * k + predicted, minlength=k * k).reshape(k, k)


def draw_confusion(path: Path, cell: Cell, counts: NDArray[np.int64]) -> None:
    """Write the matrix of the final classifier on the hold-out; `counts` (k, k), rows are true classes.

    Colour is the share of the true class, so that a rare class is as visible as a common one.
    """
    k = len(cell.classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [label(name, 22) for name in cell.classes]
    side = 1.8 + 0.42 * min(k, 8) + 0.2 * max(0, k - 8)
    with style():
        figure = new_figure(max(side + 1.6, 4.2), side + 0.8)
        axes = figure.add_subplot()
        image = axes.imshow(shares, vmin=0, vmax=1, cmap=COLOUR_MAP)
        axes.set_xticks(range(k), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(k), names)
        axes.tick_params(length=0)
        axes.set(xlabel="predicted", ylabel="true")
        if k <= _MOST_NUMBERED:
            for (row, column), count in np.ndenumerate(counts):
                ink = "black" if shares[row, column] > 0.6 else "white"
                axes.text(column, row, f"{count}", ha="center", va="center", color=ink, fontsize=7)
        bar = figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
        bar.outline.set_visible(False)
        figure.suptitle(_title(cell, counts), x=0.01, ha="left", fontsize=9)
        save_chart(figure, path, _parameters(cell, counts))


def _title(cell: Cell, counts: NDArray[np.int64]) -> str:
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    head = f"{label(model_title(cell.model), 30)} · {label(dataset_title(cell.dataset), 36)}"
    made = f"protocol {label(cell.protocol)} · final classifier"
    return f"{head}\n{made}\n{counts.sum():,} held-out images · accuracy {accuracy:.3f}"


def _parameters(cell: Cell, counts: NDArray[np.int64]) -> dict[str, object]:
    return {
        "model": cell.model.id,
        "dataset": cell.dataset.spec.id,
        "label_view": cell.dataset.view,
        "protocol": cell.protocol,
        "feature": cell.feature,
        "classes": list(cell.classes),
        "counts": counts.tolist(),
        "key": cell.probe_key,
        "synthetic": cell.dataset.spec.synthetic,
    }
