"""Retrieval in labelled sets: the images of a class by its text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def average_precision(relevant: NDArray[np.bool_], scores: Floats) -> float | None:
    """Return the average precision of images (n,) ranked by score; None where none is relevant.

    Equal scores share a place: the precision there is that of all images scored as high or higher.
    """
    total = int(relevant.sum())
    if total == 0:
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(relevant[order])
    last = np.searchsorted(-ranked, -ranked, side="right") - 1
    precision = hits[last] / (last + 1)
    return float(precision[relevant[order]].mean())


def mean_average_precision(codes: Ints, cosines: Floats) -> float | None:
    """Return the mean over classes of the average precision of their texts as queries, of cosines (n, k)."""
    found = [average_precision(codes == number, cosines[:, number]) for number in range(cosines.shape[1])]
    defined = [value for value in found if value is not None]
    return float(np.mean(defined)) if defined else None


def precision_at(codes: Ints, cosines: Floats, count: int) -> float:
    """Return the mean over classes of the share of their own among the `count` images nearest to their texts."""
    nearest = np.argsort(-cosines, axis=0, kind="stable")[:count]
    return float((codes[nearest] == np.arange(cosines.shape[1])[None]).mean())
