"""Many maps on one page: the UMAP grid of one cell, and models by datasets; one legend each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from medvlm_tui.report.cells import Map
from medvlm_tui.report.figures.canvas import bare, label, new_figure, save_png, style
from medvlm_tui.report.figures.scatter import class_handles, parameters, scatter_classes
from medvlm_tui.report.naming import dataset_title, model_title

_PANEL_IN = 1.45
_FRAME = "#222222"


@dataclass(frozen=True, slots=True)
class Panel:
    """A map with its points."""

    shown: Map
    xy: NDArray[np.float32]
    labels: tuple[str, ...]


def draw_grid(path: Path, panels: Sequence[Panel], proposed: Map) -> None:
    """Write the maps of one model on one dataset: a row an n_neighbors, a column a min_dist, `proposed` framed."""
    rows = sorted({panel.shown.n_neighbors for panel in panels})
    columns = sorted({panel.shown.min_dist for panel in panels})
    found = {(panel.shown.n_neighbors, panel.shown.min_dist): panel for panel in panels}
    shown = panels[0].shown
    with style():
        figure = new_figure(1.9 + _PANEL_IN * len(columns), 0.7 + _PANEL_IN * len(rows))
        grid = figure.add_gridspec(len(rows), len(columns) + 1, width_ratios=[*[_PANEL_IN] * len(columns), 1.6])
        axes = np.array([[figure.add_subplot(grid[r, c]) for c in range(len(columns))] for r in range(len(rows))])
        for (row, column), place in np.ndenumerate(axes):
            panel = found.get((rows[row], columns[column]))
            _panel(place, panel, framed=panel is not None and panel.shown.key == proposed.key)
            if row == 0:
                place.set_title(f"min_dist {columns[column]:g}", fontsize=7.5)
            if column == 0:
                place.set_ylabel(f"n_neighbors {rows[row]}", fontsize=7.5)
        classes, labels = _classes(panels)
        # An own place over all rows: a legend beside the first row would stretch it.
        side = figure.add_subplot(grid[:, -1])
        side.axis("off")
        side.legend(handles=class_handles(classes, labels), loc="upper left", borderaxespad=0, handletextpad=0.2)
        head = f"{label(model_title(shown.model), 30)} · {label(dataset_title(shown.dataset), 36)}"
        figure.suptitle(f"{head}\nframed: the proposed of {len(panels)} maps", x=0.01, ha="left", fontsize=9)
        save_png(figure, path, {"proposed": parameters(proposed), "maps": [parameters(p.shown) for p in panels]})


def draw_study(path: Path, panels: Sequence[Panel]) -> None:
    """Write the maps of several models on several datasets: a row a model, a column a dataset, legends below.

    Where a model has no map of a dataset its place stays empty.
    """
    models = {panel.shown.model.id: panel.shown.model for panel in panels}
    datasets = {panel.shown.dataset.spec.id: panel.shown.dataset for panel in panels}
    found = {(panel.shown.model.id, panel.shown.dataset.spec.id): panel for panel in panels}
    longest = max(len(dataset.classes) for dataset in datasets.values())
    legend_in = 0.13 * min(longest, 12) + 0.1
    with style():
        figure = new_figure(0.5 + 1.75 * len(datasets), 0.5 + 1.75 * len(models) + legend_in)
        heights = [1.75] * len(models) + [legend_in]
        axes = figure.subplots(len(models) + 1, len(datasets), squeeze=False, height_ratios=heights)
        for column, (dataset_id, dataset) in enumerate(datasets.items()):
            for row, (model_id, model) in enumerate(models.items()):
                _panel(axes[row, column], found.get((model_id, dataset_id)), framed=False)
                if column == 0:
                    axes[row, column].set_ylabel(label(model_title(model), 24), fontsize=8)
            axes[0, column].set_title(label(dataset_title(dataset), 26), fontsize=8)
            axes[-1, column].axis("off")
            axes[-1, column].legend(
                handles=class_handles(dataset.classes), loc="upper left", fontsize=6,
                ncols=1 + (len(dataset.classes) - 1) // 12, borderpad=0, handletextpad=0.1,
            )  # fmt: skip
        save_png(figure, path, {"maps": [parameters(panel.shown) for panel in panels]})


def _panel(axes: Axes, panel: Panel | None, framed: bool) -> None:
    bare(axes)
    if panel is None:
        axes.set_frame_on(False)
        return
    classes = panel.shown.dataset.classes
    scatter_classes(axes, panel.xy, np.asarray(panel.labels), classes, small=True)
    if framed:
        for spine in axes.spines.values():
            spine.set(edgecolor=_FRAME, linewidth=1.8)


def _classes(panels: Sequence[Panel]) -> tuple[list[str], tuple[str, ...]]:
    """Return the dataset's classes and the labels of the map with most points, whose counts the legend gives."""
    largest = max(panels, key=lambda panel: len(panel.labels))
    return list(largest.shown.dataset.classes), largest.labels
