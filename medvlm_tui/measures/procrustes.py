"""Maps turned onto each other: they have no orientation of their own, and are compared after a turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Turn:
    """A similarity transformation: `scale * xy @ rotation + shift`."""

    rotation: Wide
    """(2, 2), orthogonal; may mirror."""
    scale: float
    shift: Wide
    """(2,)"""
    disparity: float
    """Remaining squared distance over the reference's squared size: 0 the same shape, 1 nothing in common."""

    def apply(self, xy: NDArray[np.floating]) -> Wide:
        """Return the turned map."""
        turned: Wide = self.scale * xy.astype(np.float64) @ self.rotation + self.shift
        return turned


def procrustes(reference: NDArray[np.floating], xy: NDArray[np.floating]) -> Turn:
    """Return the turn that brings `xy` (n, 2) nearest to `reference` (n, 2) (Gower 1975; as scipy's procrustes)."""
    x, y = reference.astype(np.float64), xy.astype(np.float64)
    if not len(x):
        return Turn(np.eye(2), 1.0, np.zeros(2), 1.0)
    centre_x, centre_y = x.mean(axis=0), y.mean(axis=0)
    x, y = x - centre_x, y - centre_y
    size_x, size_y = float((x**2).sum()), float((y**2).sum())
    if size_x == 0 or size_y == 0:
        return Turn(np.eye(2), 1.0, centre_x - centre_y, 1.0 if size_x != size_y else 0.0)
    u, s, vt = np.linalg.svd(y.T @ x)
    rotation, scale = u @ vt, float(s.sum()) / size_y
    disparity = max(0.0, 1.0 - float(s.sum()) ** 2 / (size_x * size_y))
    return Turn(rotation, scale, centre_x - scale * centre_y @ rotation, disparity)


def turn_by_common(
    reference: NDArray[np.floating],
    reference_ids: NDArray[np.generic],
    xy: NDArray[np.floating],
    ids: NDArray[np.generic],
) -> Turn:
    """Return the turn of `xy` onto `reference` by the images that both show; without one, one that changes nothing."""
    _, ours, theirs = np.intersect1d(reference_ids, ids, return_indices=True)
    return procrustes(reference[ours], xy[theirs])
