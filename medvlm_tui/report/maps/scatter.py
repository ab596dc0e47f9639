"""A map of the features: classes by colour and shape, counts in the legend, parameters in the title."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from medvlm_tui.report.figures.canvas import bare, beside, label, look_of, new_figure, save_figure, style
from medvlm_tui.report.maps.panel import Panel
from medvlm_tui.report.maps.rows import CLASSES, DEPENDS_ON_N
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Map

_NO_VALUE = "#C8C8C8"
_SHOWN_SCORES = {"trustworthiness": "trustworthiness", "knn_purity": "purity"}


def draw_map(path: Path, panel: Panel, of: int = 1) -> None:
    """Write the scatter of one UMAP cell; `of` is the number of cells this one was chosen from."""
    present = set(panel.labels)
    names = [name for name in panel.names if name in present]
    with style():
        figure = new_figure(5.6, 4.6 + 0.02 * max(0, len(names) - 20))
        axes = figure.add_subplot()
        scatter_classes(axes, panel.xy, np.asarray(panel.labels), names)
        bare(axes)
        figure.suptitle(_title(panel, of), x=0.01, ha="left", fontsize=9)
        beside(axes, class_handles(names, panel.labels))
        if panel.shown.note:
            axes.set_xlabel(label(panel.shown.note, 110), loc="left", fontsize=6.5)
        save_figure(figure, path, panel_parameters(panel))


def scatter_classes(
    axes: Axes, xy: NDArray[np.float32], labels: NDArray[np.str_], classes: Sequence[str], small: bool = False
) -> None:
    """Draw the points of every class; a `small` panel has smaller points without edges. Points of no class are grey.

    Classes take turns in layers of points, so that none lies hidden behind the last one: in full figures an eighth
    of every class at a time, in panels a half. Lines with markers only are used: Agg stamps them, where the paths
    of `Axes.scatter` made a grid of 50 panels and 26 classes take half a minute.
    """
    size = float(np.clip(1500 / max(len(xy), 1), 1, 6) if small else np.clip(9000 / max(len(xy), 1), 3, 26))
    layers = 2 if small else 8
    ranks = np.empty(len(xy), dtype=int)
    ranks[np.random.default_rng(0).permutation(len(xy))] = np.arange(len(xy)) * layers // max(len(xy), 1)
    edge = {"markeredgewidth": 0.0} if small else {"markeredgewidth": 0.2, "markeredgecolor": "white"}
    others = ~np.isin(labels, np.asarray(classes, dtype=str))
    if others.any():
        axes.add_line(Line2D(*xy[others].T, color=_NO_VALUE, marker=".", ms=size**0.5, ls="none", mew=0.0))
    for layer in range(layers):
        for index, name in enumerate(classes):
            chosen = (labels == name) & (ranks == layer)
            if chosen.any():
                colour, marker = look_of(index)
                line = Line2D(*xy[chosen].T, color=colour, marker=marker, ms=size**0.5, ls="none", alpha=0.85, **edge)
                # The layout need not measure every point: the limits below hold them all.
                line.set_in_layout(False)
                axes.add_line(line)
    axes.set(xlim=_limits(xy[:, 0]), ylim=_limits(xy[:, 1]))


def _limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the range of the values with a margin of a twentieth, 1 wide where they are all the same."""
    low, high = (float(np.min(values)), float(np.max(values))) if len(values) else (0.0, 0.0)
    margin = (high - low) / 20 or 0.5
    return low - margin, high + margin


def class_handles(classes: Sequence[str], labels: Sequence[str] = ()) -> list[Line2D]:
    """Return legend entries, with counts where labels are given."""
    counts = dict(zip(*np.unique(np.asarray(labels, dtype=str), return_counts=True), strict=True)) if labels else {}
    handles = []
    for index, name in enumerate(classes):
        colour, marker = look_of(index)
        text = f"{label(name, 28)}  {counts[name]:,}" if name in counts else label(name, 28)
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=5, label=text))
    others = sum(count for name, count in counts.items() if name not in classes)
    if others:
        text = f"none of these  {others:,}"
        handles.append(Line2D([], [], color=_NO_VALUE, marker=".", linestyle="none", markersize=5, label=text))
    return handles


def parameters(shown: Map) -> dict[str, object]:
    """Return what the PNG's text chunk says of a map."""
    return {
        "model": shown.model.id,
        "dataset": shown.dataset.spec.id,
        "label_view": shown.dataset.view,
        "feature": shown.feature,
        "n_neighbors": shown.n_neighbors,
        "min_dist": shown.min_dist,
        "seed": shown.seed,
        "n": shown.n,
        "subsampled": shown.subsampled,
        "scores": dict(shown.scores),
        "key": shown.key,
        "synthetic": shown.dataset.spec.synthetic,
    }


def panel_parameters(panel: Panel) -> dict[str, object]:
    """Return what the PNG's text chunk says of a panel."""
    return {**parameters(panel.shown), "grouping": panel.grouping, "full_space": dict(panel.measures)}


def heading(panel: Panel) -> str:
    """Return the first two lines of a title: what is shown, with which parameters, and how faithful it is."""
    shown = panel.shown
    named = [(title, shown.scores.get(name)) for name, title in _SHOWN_SCORES.items()]
    if panel.grouping != CLASSES:
        named = named[:1]  # the map's purity is that of the classes
    scores = [f"{name} {value:.2f}" for name, value in named if value is not None]
    by = "" if panel.grouping == CLASSES else f" · by {label(panel.grouping, 24)}"
    head = f"{label(model_title(shown.model), 30)} · {label(dataset_title(shown.dataset), 36)}{by}"
    second = [f"n_neighbors {shown.n_neighbors}", f"min_dist {shown.min_dist:g}", *scores]
    return f"{head}\n{' · '.join(second)}"


def _title(panel: Panel, of: int) -> str:
    third = f"{panel.shown.n:,} images" + (", a stratified subsample" if panel.shown.subsampled else "")
    chosen = f", the proposed of {of} maps" if of > 1 else ""
    titles = {"silhouette": "silhouette", "knn_purity": "kNN purity"}
    measured = [f"{titles[name]} {value:.3f}" for name, value in panel.measures.items()]
    note = " (purity depends on n)" if DEPENDS_ON_N.intersection(panel.measures) else ""
    full = f"\nin the full space: {', '.join(measured)}{note}" if measured else ""
    return f"{heading(panel)}\n{third}{chosen}{full}"
