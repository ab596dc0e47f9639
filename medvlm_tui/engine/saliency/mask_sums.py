"""Sums of weighted masks without the masks: what the grids and shifts of bilinear masks allow.

For one shift, sum_i w_i mask_i = Y (sum_i w_i G_i) X', so that grids are summed per shift, c x c numbers a mask, and
up-sampled once at the end. The square of a mask is a bilinear form of its own: with g1..g4 the cells around a pixel,
products of neighbouring cells take the place of cells, (2c - 1) x (2c - 1) numbers a mask. Both are exact; a chunk of
256 masks costs less than one forward pass, however many images and classes share it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from medvlm_tui.engine.saliency.masks import MaskStream, up_sampling

Floats = NDArray[np.float64]


class ShiftSums:
    """Sums over masks for r series of weights: of w x mask, and of w x mask^2 when `squares`."""

    def __init__(self, stream: MaskStream, series: int, squares: bool = False) -> None:
        self._stream = stream
        self._squares = squares
        height, width = stream.cell_px
        side = 2 * stream.cells - 1 if squares else stream.cells
        self._sums = np.zeros((height * width, series * side * side))
        self._side = side
        self.total = np.zeros(series)
        """(r,) sum of the weights."""

    def add(self, grids: NDArray[np.float32], shift: NDArray[np.int64], weights: Floats) -> None:
        """Add masks (m, c, c) at shifts (m, 2) with weights (m, r)."""
        cells = neighbour_products(grids) if self._squares else grids.astype(np.float64)
        terms = weights[:, :, None] * cells.reshape(len(cells), 1, -1)
        places = shift[:, 0] * self._stream.cell_px[1] + shift[:, 1]
        which = sparse.csr_matrix(
            (np.ones(len(places)), (places, np.arange(len(places)))), shape=(len(self._sums), len(places))
        )
        self._sums += which @ terms.reshape(len(cells), -1)
        self.total += weights.sum(axis=0)

    def image(self) -> Floats:
        """Return the sums as images (r, H, W)."""
        rows = up_sampling(self._stream.height_px, self._stream.cells)
        columns = up_sampling(self._stream.width_px, self._stream.cells)
        if self._squares:
            rows, columns = pair_weights(rows), pair_weights(columns)
        (height, width), side = self._stream.cell_px, self._side
        sums = self._sums.reshape(height, width, -1, side, side)
        right = np.einsum("yxrab,xwb->ryaw", sums, columns, optimize=True)
        return np.asarray(np.einsum("yha,ryaw->rhw", rows, right, optimize=True))


def mask_means(stream: MaskStream, grids: NDArray[np.floating], shift: NDArray[np.int64]) -> Floats:
    """Return (m,) the mean over pixels of masks with grids (m, c, c) at shifts (m, 2)."""
    rows = up_sampling(stream.height_px, stream.cells).mean(axis=1)[shift[:, 0]]
    columns = up_sampling(stream.width_px, stream.cells).mean(axis=1)[shift[:, 1]]
    return np.asarray(np.einsum("ma,mab,mb->m", rows, grids.astype(np.float64), columns, optimize=True))


def neighbour_products(grids: NDArray[np.floating]) -> Floats:
    """Return (m, 2c - 1, 2c - 1): even places hold a cell's square, odd ones products with the next cell.

    At (2a + 1, 2b + 1) stands the mean of the two diagonal products of the four cells there.
    """
    g = grids.astype(np.float64)
    size = 2 * g.shape[1] - 1
    products = np.empty((len(g), size, size))
    products[:, ::2, ::2] = g * g
    products[:, 1::2, ::2] = g[:, :-1] * g[:, 1:]
    products[:, ::2, 1::2] = g[:, :, :-1] * g[:, :, 1:]
    falling, rising = g[:, :-1, :-1] * g[:, 1:, 1:], g[:, :-1, 1:] * g[:, 1:, :-1]
    products[:, 1::2, 1::2] = 0.5 * (falling + rising)
    return products


def pair_weights(weights: Floats) -> Floats:
    """Return the weights (..., 2c - 1) of squares and neighbouring products for bilinear weights (..., c)."""
    size = 2 * weights.shape[-1] - 1
    pairs = np.empty((*weights.shape[:-1], size))
    pairs[..., ::2] = weights**2
    pairs[..., 1::2] = 2 * weights[..., :-1] * weights[..., 1:]
    return pairs
