"""The regions of a map where one class prevails: what a map's text labels name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.render.scatter import Bounds, cells_of

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
# 32 x 32 cells of the map; a region of less than 3 % of the images, or of fewer than ten, gets no label.
CELLS = 32
LEAST_SHARE, LEAST_IMAGES = 0.03, 10


@dataclass(frozen=True, slots=True)
class Region:
    """A connected part of the map."""

    x: float
    y: float
    """Point of the highest density."""
    code: int
    """The class that prevails."""
    images: int
    share: float
    """Of the region's images that are of this class."""


def regions(xy: Floats, codes: Ints) -> list[Region]:
    """Return the regions of a map (n, 2) with classes (n,), the largest first.

    A region is a connected set of cells in which, counted with its neighbours, the same class has most images.
    """
    finite = np.isfinite(xy).all(axis=1)
    xy, codes = xy[finite], codes[finite]
    if not len(xy):
        return []
    bounds = Bounds.of(xy)
    places = cells_of(xy, bounds, CELLS, CELLS)
    counts = np.zeros((CELLS, CELLS, int(codes.max()) + 1))
    np.add.at(counts, (places[:, 0], places[:, 1], codes), 1)
    smooth = _smooth(counts)
    winner = np.where(counts.sum(axis=2) > 0, smooth.argmax(axis=2), -1)
    found = []
    for code, cells in _connected(winner):
        inside = counts[cells]
        if (images := int(inside.sum())) >= max(LEAST_IMAGES, LEAST_SHARE * len(xy)):
            x, y = _centre(bounds, *_densest(smooth.sum(axis=2), cells))
            found.append(Region(x, y, code, images, float(inside[:, code].sum() / images)))
    return sorted(found, key=lambda region: -region.images)


def _smooth(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counts (h, w, k) weighted 1 2 1 over neighbours, down and across."""
    for axis in (0, 1):
        padded = np.pad(counts, [(1, 1) if axis == a else (0, 0) for a in range(3)])
        before, after = (np.take(padded, range(o, o + CELLS), axis=axis) for o in (0, 2))
        counts = before + 2 * counts + after
    return counts


def _connected(winner: NDArray[np.intp]) -> list[tuple[int, tuple[NDArray[np.intp], NDArray[np.intp]]]]:
    """Return (class, rows and columns) of the sets of cells of one class that touch, corners included."""
    left = {(int(r), int(c)) for r, c in np.argwhere(winner >= 0)}
    found = []
    while left:
        seed = left.pop()
        code, cells, border = int(winner[seed]), [seed], [seed]
        while border:
            row, column = border.pop()
            around = {(row + dr, column + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)}
            near = [cell for cell in around & left if winner[cell] == code]
            left.difference_update(near)
            cells += near
            border += near
        rows, columns = np.array(cells, dtype=np.intp).T
        found.append((code, (rows, columns)))
    return found


def _densest(density: NDArray[np.float64], cells: tuple[NDArray[np.intp], NDArray[np.intp]]) -> tuple[int, int]:
    best = int(density[cells].argmax())
    return int(cells[0][best]), int(cells[1][best])


def _centre(bounds: Bounds, row: int, column: int) -> tuple[float, float]:
    x = bounds.left + (column + 0.5) / CELLS * (bounds.right - bounds.left)
    return x, bounds.top - (row + 0.5) / CELLS * (bounds.top - bounds.bottom)
