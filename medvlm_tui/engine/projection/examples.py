"""Which images show what lies where on a map, and their thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.decoders import decoded
from medvlm_tui.engine.images.decoding_task import Reduced
from medvlm_tui.engine.images.read_sample import read_sample

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
COUNT = 14
"""Examples of each kind; more would crowd a figure of 183 mm."""
SIDE_PX = 96


def by_density(xy: Floats, count: int = COUNT) -> list[int]:
    """Return at most `count` points of a map (m, 2): dense places first, each far from those chosen.

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


def by_cluster(xy: Floats, clusters: Ints, count: int = COUNT) -> list[int]:
    """Return at most `count` points of a map (m, 2), the same number of each cluster, each cluster's by density.

    Of more than `count` clusters the largest (the first) have one each; points in none (-1) are left out.
    """
    several = min(int(clusters.max(initial=-1)) + 1, count)
    chosen: list[int] = []
    for cluster in range(several):
        members = np.flatnonzero(clusters == cluster)
        chosen += members[by_density(xy[members], count // several)].tolist()
    return chosen


def thumbnails(
    points: Sequence[int],
    ids: Sequence[str],
    samples: Mapping[str, Sample],
    check: Callable[[], None],
    window: str = FILE,
) -> tuple[list[int], NDArray[np.uint8]]:
    """Return the points whose image could be read, and their thumbnails (q, 96, 96, 3).

    `ids` names the image of each point of the map.
    """
    known = [point for point in points if ids[point] in samples]
    answers = decoded([samples[ids[point]] for point in known], partial(_read_whole, window=window), check=check)
    # An image that cannot be read any more had features; a figure with one example fewer says more than none.
    found = {point: one.pixels for point, one in zip(known, answers, strict=True) if isinstance(one, Reduced)}
    pixels = np.stack(list(found.values())) if found else np.zeros((0, SIDE_PX, SIDE_PX, 3), np.uint8)
    return list(found), pixels


def _neighbours_within(points: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return how many points lie within `radius` of each."""
    from scipy.spatial import KDTree

    counts: NDArray[np.float64] = KDTree(points).query_ball_point(points, radius, return_length=True).astype(np.float64)
    return counts


def _read_whole(sample: Sample, window: str) -> Reduced:
    return Reduced(_whole(np.asarray(read_sample(sample, window))), {})


def _whole(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the whole image at a thumbnail's size, padded with black: what is burned in lies at the rim."""
    from PIL import Image, ImageOps

    small = ImageOps.pad(Image.fromarray(pixels), (SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS, color=(0, 0, 0))
    return np.asarray(small)
