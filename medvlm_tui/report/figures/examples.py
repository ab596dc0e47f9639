"""A map with example images drawn beside the regions that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import NDArray

from medvlm_tui.report.cells import Map
from medvlm_tui.report.figures.canvas import bare, beside, label, look_of, new_figure, save_png, style
from medvlm_tui.report.figures.scatter import class_handles, parameters, scatter_classes, score_text
from medvlm_tui.report.naming import dataset_title, model_title

_THUMBNAIL_PX = 96


def choose_examples(xy: NDArray[np.float32], count: int) -> list[int]:
    """Return indices of at most `count` points that show the map: dense places first, each far from those chosen.

    The first is the densest point; each further one has the largest product of its distance to the chosen ones and
    its density (points within a twentieth of the map's diagonal, square root). No random number is drawn.
    """
    points = np.asarray(xy, dtype=np.float64)
    if len(points) == 0 or count < 1:
        return []
    radius = max(float(np.linalg.norm(np.ptp(points, axis=0))) / 20, 1e-12)
    density = np.sqrt(_neighbours_within(points, radius))
    chosen = [int(density.argmax())]
    nearest = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points)) and nearest.max() > 0:
        chosen.append(int((nearest * density).argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def draw_examples(
    path: Path,
    shown: Map,
    xy: NDArray[np.float32],
    labels: Sequence[str],
    images: Mapping[int, NDArray[np.uint8]],
) -> None:
    """Write the scatter with thumbnails in a ring around it, each joined to its point.

    `xy` (m, 2), `labels` (m,), `images` index of a point -> (H, W) or (H, W, 3) uint8.
    """
    classes = list(shown.dataset.classes)
    with style():
        figure = new_figure(7.2, 6.0)
        axes = figure.add_subplot()
        scatter_classes(axes, xy, np.asarray(labels), classes)
        bare(axes)
        axes.set_frame_on(False)
        _widen(axes, xy)
        for point, place in _ring(xy, list(images)).items():
            colour = look_of(classes.index(labels[point]))[0] if labels[point] in classes else "#222222"
            thumbnail = OffsetImage(_square(images[point]), zoom=0.5, cmap="gray", resample=True)
            axes.add_artist(
                AnnotationBbox(
                    thumbnail, tuple(xy[point]), xybox=place, pad=0.12,
                    bboxprops={"edgecolor": colour, "linewidth": 1.4},
                    arrowprops={"arrowstyle": "-", "color": "#555555", "linewidth": 0.6},
                )
            )  # fmt: skip
        figure.suptitle(_title(shown), x=0.01, ha="left", fontsize=9)
        beside(axes, class_handles(classes, list(labels)))
        save_png(figure, path, {**parameters(shown), "examples": sorted(images)})


def _neighbours_within(points: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return how many points lie within `radius` of each, counted in blocks of bounded memory."""
    counts = np.empty(len(points))
    for start in range(0, len(points), 512):
        block = points[start : start + 512]
        counts[start : start + 512] = (np.linalg.norm(block[:, None] - points[None], axis=2) <= radius).sum(axis=1)
    return counts


def _ring(xy: NDArray[np.float32], chosen: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Return a place on an ellipse around the map for each point, in the order of their angles: lines cross rarely."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    angles = {point: float(np.arctan2(*((xy[point] - centre) / half)[::-1])) for point in chosen}
    order = sorted(chosen, key=lambda point: angles[point])
    start = angles[order[0]] if order else 0.0
    places = {}
    for step, point in enumerate(order):
        angle = start + 2 * np.pi * step / len(order)
        x, y = centre + 1.5 * half * np.array([np.cos(angle), np.sin(angle)])
        places[point] = (float(x), float(y))
    return places


def _widen(axes: Axes, xy: NDArray[np.float32]) -> None:
    """Leave room for the ring."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6) * 1.75
    axes.set_xlim(centre[0] - half[0], centre[0] + half[0])
    axes.set_ylim(centre[1] - half[1], centre[1] + half[1])


def _square(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image's middle square at a thumbnail's pixels, by nearest pixel."""
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    pick = np.arange(_THUMBNAIL_PX) * side // _THUMBNAIL_PX
    cropped: NDArray[np.uint8] = image[top : top + side, left : left + side][pick][:, pick]
    return cropped


def _title(shown: Map) -> str:
    head = f"{label(model_title(shown.model), 30)} · {label(dataset_title(shown.dataset), 36)}"
    scores = score_text(shown)
    second = f"n_neighbors {shown.n_neighbors} · min_dist {shown.min_dist:g}"
    return f"{head}\n{second}{' · ' if scores else ''}{scores}"
