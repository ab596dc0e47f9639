"""Similarities of two models' features of the same images, one class per measure, each quick to permute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Wide = NDArray[np.float64]


class Measure(Protocol):
    """A similarity of two sets of rows, of which the second can be permuted at little cost."""

    def value(self, order: Ints | None = None) -> float | None:
        """Return the measure with the second set's rows in `order` (as they are without); None where undefined."""
        ...


@dataclass(frozen=True, slots=True)
class DebiasedCka:
    """Linear CKA from the unbiased estimate of HSIC (Song et al. 2012; Nguyen et al. 2021, eq. 3).

    1 for a set with itself, up to rotation and scale; near 0 for independent ones, whatever n and d (may be
    negative). Grams (n, n) without their diagonal are kept.
    """

    gram_x: Wide
    gram_y: Wide
    norm: float | None

    @classmethod
    def of(cls, x: Wide, y: Wide) -> DebiasedCka:
        """Measure rows x (n, p) and y (n, q)."""
        gram_x, gram_y = _hollow_gram(x), _hollow_gram(y)
        if len(x) < 4:
            return cls(gram_x, gram_y, None)
        own = _unbiased_hsic(gram_x, gram_x) * _unbiased_hsic(gram_y, gram_y)
        return cls(gram_x, gram_y, float(np.sqrt(own)) if own > 0 else None)

    def value(self, order: Ints | None = None) -> float | None:
        """Return CKA with y's rows in `order`."""
        if self.norm is None:
            return None
        gram_y = self.gram_y if order is None else self.gram_y[np.ix_(order, order)]
        return _unbiased_hsic(self.gram_x, gram_y) / self.norm


@dataclass(frozen=True, slots=True)
class MutualNeighbours:
    """Mean share of a row's k nearest in one set that are among its k nearest in the other (Huh et al. 2024).

    0 to 1; by chance k / (n - 1).
    """

    near_x: Ints
    """(n, k) without the row itself."""
    near_y: Ints

    def value(self, order: Ints | None = None) -> float | None:
        """Return the share with y's rows in `order`."""
        n, k = self.near_x.shape
        if k < 1 or k >= n:
            return None
        near_y = self.near_y
        if order is not None:
            place = np.empty(n, dtype=np.int64)
            place[order] = np.arange(n)
            near_y = place[near_y[order]]
        member = np.zeros((n, n), dtype=bool)
        np.put_along_axis(member, near_y, True, axis=1)
        return float(np.take_along_axis(member, self.near_x, axis=1).mean())


@dataclass(frozen=True, slots=True)
class ProcrustesDistance:
    """Orthogonal Procrustes distance of centred rows scaled to norm 1 (Ding et al. 2021; Williams et al. 2021).

    2 - 2 ||Y'X||_* , 0 for equal up to rotation and scale, at most 2. The nuclear norm is that of the product of
    the rows' principal axes, so that dimensions may differ.
    """

    axes_x: Wide
    axes_y: Wide

    @classmethod
    def of(cls, x: Wide, y: Wide) -> ProcrustesDistance:
        """Measure rows x (n, p) and y (n, q)."""
        return cls(_scores(x), _scores(y))

    def value(self, order: Ints | None = None) -> float | None:
        """Return the distance with y's rows in `order`."""
        if not self.axes_x.any() or not self.axes_y.any():
            return None
        y = self.axes_y if order is None else self.axes_y[order]
        nuclear = float(np.linalg.svd(y.T @ self.axes_x, compute_uv=False).sum())
        return max(0.0, 2.0 - 2.0 * nuclear)


def _hollow_gram(rows: Wide) -> Wide:
    # Centring changes nothing of the estimate but its rounding.
    centred = rows - rows.mean(axis=0)
    gram: Wide = centred @ centred.T
    np.fill_diagonal(gram, 0.0)
    return gram


def _unbiased_hsic(k: Wide, other: Wide) -> float:
    """Return Song et al.'s unbiased HSIC of two Grams (n, n) without diagonals, n >= 4."""
    n = len(k)
    sums_k, sums_other = k.sum(axis=0), other.sum(axis=0)
    value = (
        np.vdot(k, other)
        + sums_k.sum() * sums_other.sum() / ((n - 1) * (n - 2))
        - 2.0 * (sums_k @ sums_other) / (n - 2)
    )
    return float(value / (n * (n - 3)))


# Singular values of a (400, 400) product cost a small part of those of all axes; the leading ones hold the distance.
MAX_AXES = 400


def _scores(rows: Wide) -> Wide:
    """Return the centred rows on their principal axes (at most 400, by variance), of norm 1."""
    centred = rows - rows.mean(axis=0)
    n, d = centred.shape
    gram = centred.T @ centred if d <= n else centred @ centred.T
    values, vectors = np.linalg.eigh(gram)
    largest = np.argsort(values)[::-1][:MAX_AXES]
    largest = largest[values[largest] > max(values.max(), 0.0) * 1e-12]
    kept = vectors[:, largest]
    scores: Wide = centred @ kept if d <= n else kept * np.sqrt(values[largest])
    norm = np.linalg.norm(scores)
    return scores / norm if norm > 0 else np.zeros((n, 1))
