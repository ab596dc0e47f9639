"""Many maps on one page: the UMAP grid of one cell, models by datasets, models in a row; one legend each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from medvlm_tui.report.figures.canvas import bare, label, new_figure, save_figure, style
from medvlm_tui.report.maps.panel import Panel
from medvlm_tui.report.maps.scatter import class_handles, panel_parameters, parameters, scatter_classes
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Map

# The type area of an A4 page: what is printed is not scaled.
_PAGE_WIDTH_IN, _PAGE_HEIGHT_IN = 7.2, 10.0
_PANEL_IN = 1.45
_SMALLEST_PANEL_IN = 0.6
_FRAME = "#222222"


def draw_grid(path: Path, panels: Sequence[Panel], proposed: Map) -> None:
    """Write the grid of one model on one dataset: a row an n_neighbors, a column a min_dist, the proposed framed.

    A cell that is missing stays empty.
    """
    rows = sorted({panel.shown.n_neighbors for panel in panels})
    columns = sorted({panel.shown.min_dist for panel in panels})
    found = {(panel.shown.n_neighbors, panel.shown.min_dist): panel for panel in panels}
    shown, side = panels[0].shown, 1.6
    size = _panel_in(len(rows), len(columns), side + 0.3, 0.7)
    with style():
        figure = new_figure(side + 0.3 + size * len(columns), 0.7 + size * len(rows))
        grid = figure.add_gridspec(len(rows), len(columns) + 1, width_ratios=[*[size] * len(columns), side])
        axes = np.array([[figure.add_subplot(grid[r, c]) for c in range(len(columns))] for r in range(len(rows))])
        for (row, column), place in np.ndenumerate(axes):
            panel = found.get((rows[row], columns[column]))
            _panel(place, panel, framed=panel is not None and panel.shown.key == proposed.key)
            if row == 0:
                place.set_title(f"min_dist {columns[column]:g}", fontsize=7)
            if column == 0:
                place.set_ylabel(f"n_neighbors {rows[row]}", fontsize=6.5)
        # An own place over all rows: a legend beside the first row would stretch it.
        beside = figure.add_subplot(grid[:, -1])
        beside.axis("off")
        names, labels = _values(panels)
        beside.legend(handles=class_handles(names, labels), loc="upper left", borderaxespad=0, handletextpad=0.2)
        head = f"{label(model_title(shown.model), 30)} · {label(dataset_title(shown.dataset), 36)}"
        figure.suptitle(f"{head}\nframed: the proposed of {len(panels)} maps", x=0.01, ha="left", fontsize=9)
        save_figure(figure, path, {"proposed": parameters(proposed), "maps": [parameters(p.shown) for p in panels]})


def draw_study(path: Path, panels: Sequence[Panel]) -> None:
    """Write the maps of several models on several datasets: a row per model, a column per dataset, legends below.

    Where a model has no map of a dataset its place stays empty.
    """
    models = {panel.shown.model.id: panel.shown.model for panel in panels}
    datasets = {panel.shown.dataset.spec.id: panel.shown.dataset for panel in panels}
    found = {(panel.shown.model.id, panel.shown.dataset.spec.id): panel for panel in panels}
    longest = max(len(dataset.classes) for dataset in datasets.values())
    legend_in = 0.13 * min(longest, 12) + 0.1
    size = _panel_in(len(models), len(datasets), 0.5, 0.5 + legend_in)
    with style():
        figure = new_figure(0.5 + size * len(datasets), 0.5 + size * len(models) + legend_in)
        heights = [size] * len(models) + [legend_in]
        axes = figure.subplots(len(models) + 1, len(datasets), squeeze=False, height_ratios=heights)
        for column, (dataset_id, dataset) in enumerate(datasets.items()):
            for row, (model_id, model) in enumerate(models.items()):
                _panel(axes[row, column], found.get((model_id, dataset_id)), framed=False)
                if column == 0:
                    axes[row, column].set_ylabel(label(model_title(model), 20), fontsize=7)
            axes[0, column].set_title(label(dataset_title(dataset), 22), fontsize=7)
            axes[-1, column].axis("off")
            axes[-1, column].legend(
                handles=class_handles(dataset.classes), loc="upper left", fontsize=5.5,
                ncols=1 + (len(dataset.classes) - 1) // 12, borderpad=0, handletextpad=0.1,
            )  # fmt: skip
        save_figure(figure, path, {"maps": [panel_parameters(panel) for panel in panels]})


def draw_models(path: Path, panels: Sequence[Panel], what: str) -> None:
    """Write the maps of several models of one dataset, four in a row, with one legend in the place after the last."""
    columns = min(4, len(panels) + 1)
    rows = len(panels) // columns + 1
    size = _panel_in(rows, columns, 0.2, 0.7, largest=1.75)
    with style():
        figure = new_figure(0.2 + size * columns, 0.7 + size * rows)
        places = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
        for place, panel in zip(places, panels, strict=False):
            _panel(place, panel, framed=False)
            place.set_title(label(model_title(panel.shown.model), 24), fontsize=7)
        for place in places[len(panels) :]:
            place.axis("off")
        names, labels = _values(panels)
        places[len(panels)].legend(handles=class_handles(names, labels), loc="upper left", borderaxespad=0)
        head = f"{label(dataset_title(panels[0].shown.dataset), 44)} · {label(what)}"
        figure.suptitle(head, x=0.01, ha="left", fontsize=9)
        save_figure(figure, path, {"maps": [panel_parameters(panel) for panel in panels]})


def _panel_in(rows: int, columns: int, beside_in: float, above_in: float, largest: float = _PANEL_IN) -> float:
    """Return the side of a panel with which `rows` x `columns` of them fit a page, beside and below what else is."""
    fitting = min((_PAGE_WIDTH_IN - beside_in) / columns, (_PAGE_HEIGHT_IN - above_in) / rows, largest)
    return max(fitting, _SMALLEST_PANEL_IN)


def _panel(axes: Axes, panel: Panel | None, framed: bool) -> None:
    bare(axes)
    if panel is None:
        axes.set_frame_on(False)
        return
    scatter_classes(axes, panel.xy, np.asarray(panel.labels), panel.names, small=True)
    if framed:
        for spine in axes.spines.values():
            spine.set(edgecolor=_FRAME, linewidth=1.8)


def _values(panels: Sequence[Panel]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the values with colours, and the labels of the map with most points, whose counts the legend gives."""
    largest = max(panels, key=lambda panel: len(panel.labels))
    return largest.names, largest.labels
