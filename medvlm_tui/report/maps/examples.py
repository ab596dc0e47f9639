"""A map with example images drawn beside the regions that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import NDArray

from medvlm_tui.report.figures.canvas import bare, beside, label, look_of, new_figure, save_figure, style
from medvlm_tui.report.maps.panel import Panel
from medvlm_tui.report.maps.scatter import class_handles, heading, panel_parameters, scatter_classes

_WIDTH_IN, _HEIGHT_IN = 7.2, 5.6
_THUMBNAIL_IN = 0.62
_CHOSEN = {"density": "examples from dense places", "cluster": "examples of the clusters"}


def draw_examples(path: Path, panel: Panel, images: Mapping[int, NDArray[np.uint8]], kind: str = "density") -> None:
    """Write the scatter with thumbnails in a ring around it, each joined to its point.

    `images` index of a point -> (H, W) or (H, W, 3) uint8, square; `kind` says how they were chosen.
    """
    names = panel.names
    with style():
        figure = new_figure(_WIDTH_IN, _HEIGHT_IN)
        axes = figure.add_subplot()
        scatter_classes(axes, panel.xy, np.asarray(panel.labels), names)
        bare(axes)
        axes.set_frame_on(False)
        _widen(axes, panel.xy)
        for point, place in _ring(panel.xy, list(images)).items():
            value = panel.labels[point]
            colour = look_of(names.index(value))[0] if value in names else "#222222"
            _put(axes, images[point], panel.xy[point], place, colour)
        figure.suptitle(f"{heading(panel)}\n{_CHOSEN.get(kind, label(kind))}", x=0.01, ha="left", fontsize=9)
        beside(axes, class_handles(names, list(panel.labels)))
        save_figure(figure, path, {**panel_parameters(panel), "chosen_by": kind, "examples": sorted(images)})


def _put(
    axes: Axes, image: NDArray[np.uint8], point: NDArray[np.float32], place: tuple[float, float], colour: str
) -> None:
    """Draw a thumbnail at `place`, framed in its value's colour and joined to its point."""
    zoom = _THUMBNAIL_IN * 72 / max(image.shape[:2])
    thumbnail = OffsetImage(image, zoom=zoom, cmap="gray", resample=True)
    axes.add_artist(
        AnnotationBbox(
            thumbnail, (float(point[0]), float(point[1])), xybox=place, pad=0.1,
            bboxprops={"edgecolor": colour, "linewidth": 1.4},
            arrowprops={"arrowstyle": "-", "color": "#555555", "linewidth": 0.6},
        )
    )  # fmt: skip


def _ring(xy: NDArray[np.float32], chosen: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Return a place on an ellipse around the map for each point, in the order of their angles: lines cross rarely.

    The places are spread evenly, and the ring is turned so that they lie as near to their points' angles as they can.
    """
    low, high = xy.min(axis=0), xy.max(axis=0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    angles = {point: float(np.arctan2(*((xy[point] - centre) / half)[::-1])) for point in chosen}
    order = sorted(chosen, key=lambda point: angles[point])
    even = 2 * np.pi * np.arange(len(order)) / max(len(order), 1)
    turn = np.angle(np.exp(1j * (np.array([angles[point] for point in order]) - even)).sum()) if order else 0.0
    places = {}
    for point, angle in zip(order, even + turn, strict=True):
        x, y = centre + 1.6 * half * np.array([np.cos(angle), np.sin(angle)])
        places[point] = (float(x), float(y))
    return places


def _widen(axes: Axes, xy: NDArray[np.float32]) -> None:
    """Leave room for the ring."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6) * 1.92
    axes.set_xlim(centre[0] - half[0], centre[0] + half[0])
    axes.set_ylim(centre[1] - half[1], centre[1] + half[1])
