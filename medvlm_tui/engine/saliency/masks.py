"""RISE's random masks: mask i is a function of (seed, i) alone, and none is kept longer than its chunk.

A grid of cells, each open with probability p, is up-sampled bilinearly to one cell more than the image and cut out
at a random shift (Petsiuk et al. 2018). Grids and shifts are drawn on the CPU by a counter-based generator, so that
any chunk can be drawn again, anywhere, without those before it. The up-sampling is separable: mask = Y G X', where
Y (H, c) and X (W, c) hold two weights a row, chosen by the shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

CHUNK = 256
# Masks made by one matrix product, always this many, so that a mask's bits do not depend on how many are asked for.
_BLOCK = 32


@dataclass(frozen=True, slots=True)
class MaskStream:
    """Parameters that determine every mask."""

    cells: int
    probability: float
    seed: int
    height_px: int
    width_px: int
    paired: bool = False
    """Mask 2j + 1 is the complement of mask 2j; needs probability 1/2."""
    first_chunk: int = 0
    """Chunks are counted from this one on."""

    @property
    def cell_px(self) -> tuple[int, int]:
        """Height and width of a cell, at least one pixel."""
        return -(-self.height_px // self.cells), -(-self.width_px // self.cells)

    def draw(self, chunk: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the open cells (256, cells, cells), 0 or 1, and the shifts (256, 2) in pixels of one chunk."""
        # The chunk's number is the second 64-bit word of Philox's counter: 2^64 blocks apart, chunks never overlap.
        random = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, self.first_chunk + chunk, 0, 0]))
        number = CHUNK // 2 if self.paired else CHUNK
        grids = (random.random((number, self.cells, self.cells)) < self.probability).astype(np.float32)
        shift = (random.random((number, 2)) * np.array(self.cell_px)).astype(np.int64)
        if self.paired:
            pairs = np.stack([grids, 1 - grids], axis=1).reshape(CHUNK, self.cells, self.cells)
            return pairs, np.repeat(shift, 2, axis=0)
        return grids, shift

    def masks(self, chunk: int, count: int, device: str, keep_on: str = "") -> torch.Tensor:
        """Return the first `count` masks of a chunk, (count, H, W) float32 in [0, 1].

        They are made on `device` and stay there; with `keep_on` each block of them is moved there, with the same bits.
        """
        grids, shift = self.draw(chunk)
        rows = torch.from_numpy(up_sampling(self.height_px, self.cells).astype(np.float32)).to(device)
        columns = torch.from_numpy(up_sampling(self.width_px, self.cells).astype(np.float32)).to(device)
        padded = -(-count // _BLOCK) * _BLOCK
        masks = torch.empty((padded, self.height_px, self.width_px), device=keep_on or device)
        for begin in range(0, padded, _BLOCK):
            part = slice(begin, begin + _BLOCK)
            y, x = torch.from_numpy(shift[part].T.copy()).to(device)
            left = torch.bmm(rows[y], torch.from_numpy(grids[part]).to(device))
            right = columns[x].transpose(1, 2)
            if keep_on:
                masks[part] = torch.bmm(left, right)
            else:
                torch.bmm(left, right, out=masks[part])
        return masks[:count]


@lru_cache(maxsize=8)
def up_sampling(length_px: int, cells: int) -> NDArray[np.float64]:
    """Return the bilinear weights (shift, length_px, cells) of one axis for every shift of a cell; rows sum to 1."""
    cell = -(-length_px // cells)
    source = np.maximum((np.arange((cells + 1) * cell) + 0.5) * cells / ((cells + 1) * cell) - 0.5, 0.0)
    low = np.minimum(source.astype(np.int64), cells - 1)
    share = np.where(low < cells - 1, source - low, 0.0)
    whole = np.zeros(((cells + 1) * cell, cells))
    rows = np.arange(len(whole))
    whole[rows, low] = 1 - share
    whole[rows, np.minimum(low + 1, cells - 1)] += share
    return np.stack([whole[shift : shift + length_px] for shift in range(cell)])
