"""RISE's random masks: mask i is a function of (seed, i) alone, and none is kept longer than its chunk.

A grid of cells, each open with probability p, is up-sampled bilinearly to one cell more than the image and cut out
at a random shift (Petsiuk et al. 2018). Grids and shifts are drawn on the CPU by a counter-based generator, so that
any chunk can be drawn again, anywhere, without those before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

CHUNK = 256


@dataclass(frozen=True, slots=True)
class MaskStream:
    """What determines every mask."""

    cells: int
    probability: float
    seed: int
    height_px: int
    width_px: int

    def draw(self, chunk: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the open cells (256, cells, cells), 0 or 1, and the shifts (256, 2) in pixels of one chunk."""
        # The chunk's number is the second 64-bit word of Philox's counter: 2^64 blocks apart, chunks never overlap.
        random = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, chunk, 0, 0]))
        open_cells = random.random((CHUNK, self.cells, self.cells)) < self.probability
        shift = (random.random((CHUNK, 2)) * self._cell_px()).astype(np.int64)
        return open_cells.astype(np.float32), shift

    def masks(self, chunk: int, count: int, device: str) -> torch.Tensor:
        """Return the first `count` masks of a chunk, (count, H, W) float32 in [0, 1], on the device."""
        open_cells, shift = self.draw(chunk)
        cell_height, cell_width = self._cell_px()
        grid = torch.from_numpy(open_cells[:count, None]).to(device)
        size = ((self.cells + 1) * int(cell_height), (self.cells + 1) * int(cell_width))
        large = torch.nn.functional.interpolate(grid, size, mode="bilinear", align_corners=False)[:, 0]
        cut = [large[i, y : y + self.height_px, x : x + self.width_px] for i, (y, x) in enumerate(shift[:count])]
        return torch.stack(cut)

    def _cell_px(self) -> NDArray[np.int64]:
        return np.array([-(-self.height_px // self.cells), -(-self.width_px // self.cells)])
