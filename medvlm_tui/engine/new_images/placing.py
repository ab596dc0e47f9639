"""New images on a finished map: weighted means of their neighbours' places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.features.neighbours import BLOCK_ROWS, Floats


def place(new: Floats, units: Floats, xy: Floats, neighbours: int) -> Floats:
    """Return places (q, 2) of new unit rows (q, d) on the map (n, 2) of unit rows (n, d).

    A place is the mean of the `neighbours` nearest by cosine distance, weighted by the membership strengths that
    umap-learn gives a new point (`UMAP.transform`'s start, without its optimisation): each image's place depends
    on no other new image, but for rounding, and a row of the map lies on itself.
    """
    from umap.umap_ import smooth_knn_dist

    k = min(neighbours, len(units))
    places = np.empty((len(new), 2), dtype=np.float32)
    for start in range(0, len(new), BLOCK_ROWS):
        distances = np.clip(1.0 - new[start : start + BLOCK_ROWS] @ units.T, 0.0, 2.0)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        near = np.take_along_axis(distances, nearest, axis=1).astype(np.float32)
        sigmas, rhos = smooth_knn_dist(near, float(k), local_connectivity=0.0)
        places[start : start + BLOCK_ROWS] = _means(near, xy[nearest], sigmas, rhos)
    return places


def _means(near: Floats, around: Floats, sigmas: Floats, rhos: Floats) -> NDArray[np.float64]:
    """Return the weighted means (q, 2) of `around` (q, k, 2); on an exact match its place alone."""
    weights = np.exp(-np.maximum(near - rhos[:, None], 0.0).astype(np.float64) / np.maximum(sigmas[:, None], 1e-12))
    same = near < 1e-6  # 7 digits of a float32 cosine
    weights = np.where(same.any(axis=1, keepdims=True), same.astype(np.float64), weights)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.where(total > 0, weights / np.where(total > 0, total, 1.0), 1.0 / weights.shape[1])
    means: NDArray[np.float64] = np.einsum("qk,qkd->qd", weights, around.astype(np.float64))
    return means
