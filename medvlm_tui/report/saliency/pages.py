"""Saliency maps in rows, as the study's Figures 1b and 2b have them: images of one model, models of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from medvlm_tui.measures.map_noise import MOSTLY_NOISE
from medvlm_tui.report.figures.canvas import COLOUR_MAP, bare, label, new_figure, save_png, style
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Explained
from medvlm_tui.report.saliency.one_map import NOISE_COLOUR, OPACITY, parameters
from medvlm_tui.stages.records.saliency import ExplainedImage

_COLUMNS = 6
# The heading is as wide as three tiles.
_LEAST_COLUMNS = 3
_TILE_IN = 1.35
_MOST = 48


@dataclass(frozen=True, slots=True)
class Shown:
    """One map of a page."""

    explained: Explained
    item: ExplainedImage
    image: NDArray[np.uint8]
    values: NDArray[np.float32]


def draw_images(path: Path, page: Sequence[Shown]) -> None:
    """Write the images of one model, each above its overlay; 48 at most, in the order of the result."""
    first = page[0].explained
    title = f"{label(model_title(first.model), 30)} · {label(dataset_title(first.dataset), 36)}"
    names = [_verdict(shown.item) for shown in page]
    _draw(path, page, names, title, lambda shown: label(shown.item.image, 20))


def draw_models(path: Path, page: Sequence[Shown]) -> None:
    """Write the maps of several models for one image, each model's view above its overlay."""
    first = page[0]
    title = f"{label(dataset_title(first.explained.dataset), 36)} · {label(first.item.image, 44)}"
    names = [_verdict(shown.item) for shown in page]
    _draw(path, page, names, title, lambda shown: label(model_title(shown.explained.model), 20))


def _draw(path: Path, page: Sequence[Shown], verdicts: Sequence[str], title: str, name_of: Any) -> None:
    kept = list(page[:_MOST])
    columns = max(_LEAST_COLUMNS, min(_COLUMNS, len(kept)))
    rows = -(-len(kept) // columns)
    with style():
        figure = new_figure(_TILE_IN * columns + 0.2, (2 * _TILE_IN + 0.55) * rows + 0.5)
        grid = figure.subplots(2 * rows, columns, squeeze=False)
        for axes in grid.ravel():
            axes.set_axis_off()
        for place, (shown, verdict) in enumerate(zip(kept, verdicts, strict=False)):
            row, column = 2 * (place // columns), place % columns
            _tile(grid[row, column], shown.image, None)
            grid[row, column].set_title(name_of(shown), fontsize=6.5, pad=2)
            _tile(grid[row + 1, column], shown.image, shown.values)
            grid[row + 1, column].set_xlabel(verdict, fontsize=6, labelpad=2)
            if shown.item.mostly_noise:
                grid[row + 1, column].xaxis.label.set_color(NOISE_COLOUR)
        said = f"overlay: {COLOUR_MAP}, each map over its own range"
        more = f" · the first {_MOST} of {len(page)}" if len(page) > _MOST else ""
        figure.suptitle(f"{title}\n{said}{more}", x=0.01, ha="left", fontsize=8.5)
        save_png(figure, path, {"maps": [parameters(shown.explained, shown.item) for shown in kept]})


def _tile(axes: Axes, image: NDArray[np.uint8], values: NDArray[np.float32] | None) -> None:
    axes.set_axis_on()
    bare(axes)
    axes.set_frame_on(False)
    if values is None:
        axes.imshow(image)
        return
    grey = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    axes.imshow(grey)
    axes.imshow(values, cmap=COLOUR_MAP, alpha=OPACITY)


def _verdict(item: ExplainedImage) -> str:
    """Return the explained class with its score, the true one where it differs, and whether the map is noise."""
    wrong = "" if item.label == item.predicted else f"\ntrue {label(item.label, 18)}"
    noise = f"\n{MOSTLY_NOISE}" if item.mostly_noise else ""
    score = "" if item.score is None else f" {item.score:+.2f}"
    return f"{label(item.explained, 18)}{score}{wrong}{noise}"
