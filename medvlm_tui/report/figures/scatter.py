"""A map of the features: classes by colour and shape, counts in the legend, parameters in the title."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from medvlm_tui.report.cells import Map
from medvlm_tui.report.figures.canvas import bare, label, look_of, new_figure, save_png, style
from medvlm_tui.report.naming import dataset_title, model_title

_SHOWN_SCORES = {"trustworthiness": "trustworthiness", "knn_purity": "purity"}


def draw_map(path: Path, shown: Map, xy: NDArray[np.float32], labels: Sequence[str], of: int = 1) -> None:
    """Write the scatter of one UMAP cell.

    `xy` (m, 2), `labels` (m,) the class of each point; `of` is the number of cells this one was chosen from.
    """
    classes = [name for name in shown.dataset.classes if name in set(labels)]
    with style():
        figure = new_figure(5.6, 4.6 + 0.02 * max(0, len(classes) - 20))
        axes = figure.add_subplot()
        scatter_classes(axes, xy, np.asarray(labels), classes)
        bare(axes)
        axes.set_title(_title(shown, of), loc="left")
        figure.legend(handles=class_handles(classes, labels), loc="outside right upper", ncols=1 + len(classes) // 28)
        if shown.note:
            axes.set_xlabel(label(shown.note, 110), loc="left", fontsize=6.5)
        save_png(figure, path, parameters(shown))


def scatter_classes(
    axes: Axes, xy: NDArray[np.float32], labels: NDArray[np.str_], classes: Sequence[str], size: float = 0.0
) -> None:
    """Draw the points of every class, in an order that hides no class behind the last one.

    `size` in square points; 0 takes one that suits the number of points.
    """
    size = size or float(np.clip(9000 / max(len(xy), 1), 3, 26))
    order = np.random.default_rng(0).permutation(len(xy))
    ranks = np.empty(len(xy), dtype=int)
    ranks[order] = np.arange(len(xy)) * 8 // max(len(xy), 1)
    for layer in range(8):
        for index, name in enumerate(classes):
            chosen = (labels == name) & (ranks == layer)
            colour, marker = look_of(index)
            x, y = xy[chosen].T
            axes.scatter(x, y, s=size, c=colour, marker=marker, linewidths=0.2, edgecolors="white", alpha=0.85)


def class_handles(classes: Sequence[str], labels: Sequence[str] = ()) -> list[Line2D]:
    """Return legend entries, with counts where labels are given."""
    counts = dict(zip(*np.unique(np.asarray(labels, dtype=str), return_counts=True), strict=True)) if labels else {}
    handles = []
    for index, name in enumerate(classes):
        colour, marker = look_of(index)
        text = f"{label(name, 28)}  {counts[name]:,}" if name in counts else label(name, 28)
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=5, label=text))
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


def score_text(shown: Map) -> str:
    """Return the scores that a title names, e.g. `trustworthiness 0.96 · purity 0.91`."""
    named = [(title, shown.scores.get(name)) for name, title in _SHOWN_SCORES.items()]
    return " · ".join(f"{name} {value:.2f}" for name, value in named if value is not None)


def _title(shown: Map, of: int) -> str:
    second = f"n_neighbors {shown.n_neighbors} · min_dist {shown.min_dist:g}"
    scores = score_text(shown)
    third = f"{shown.n:,} images" + (", a stratified subsample" if shown.subsampled else "")
    chosen = f", the most trustworthy of {of} maps" if of > 1 else ""
    head = f"{label(model_title(shown.model), 30)} · {label(dataset_title(shown.dataset), 36)}"
    return f"{head}\n{second}{' · ' if scores else ''}{scores}\n{third}{chosen}"
