"""The scores of each class: precision, recall and F1 as dots with their spread over the folds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.report.figures.canvas import beside, label, look_of, new_figure, save_chart, style
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import dataset_title, model_title


def draw_per_class(
    path: Path, cell: Cell, support: NDArray[np.integer], values: Mapping[str, NDArray[np.float64]]
) -> None:
    """Write the figure; `support` (k,) held-out images per class, `values` measure -> (F, k)."""
    k = len(cell.classes)
    rows = np.arange(k)
    with style():
        figure = new_figure(5.6, 1.5 + 0.34 * k)
        axes = figure.add_subplot()
        for index, (name, folds) in enumerate(values.items()):
            colour, marker = look_of(index)
            offset = (index - (len(values) - 1) / 2) * 0.2
            axes.errorbar(
                folds.mean(axis=0), rows + offset, xerr=folds.std(axis=0), fmt=marker, color=colour, markersize=4,
                elinewidth=0.8, label=name,
            )  # fmt: skip
        axes.set_yticks(rows, [f"{label(name, 26)}  {n:,}" for name, n in zip(cell.classes, support, strict=True)])
        axes.set(xlim=(-0.02, 1.02), ylim=(k - 0.5, -0.5), xlabel="score on the hold-out, mean ± spread over the folds")
        axes.grid(axis="x", color="#E6E6E6", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        beside(axes, axes.get_legend_handles_labels()[0])
        title = f"{label(model_title(cell.model), 30)} · {label(dataset_title(cell.dataset), 36)}"
        figure.suptitle(f"{title} · protocol {label(cell.protocol)}", x=0.01, ha="left", fontsize=9)
        save_chart(figure, path, _parameters(cell, values))


def _parameters(cell: Cell, values: Mapping[str, NDArray[np.float64]]) -> dict[str, object]:
    return {
        "model": cell.model.id,
        "dataset": cell.dataset.spec.id,
        "label_view": cell.dataset.view,
        "protocol": cell.protocol,
        "classes": list(cell.classes),
        "means": {name: folds.mean(axis=0).tolist() for name, folds in values.items()},
        "key": cell.probe_key,
        "synthetic": cell.dataset.spec.synthetic,
    }
