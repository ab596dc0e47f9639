"""RISE's plain estimator, summed chunk by chunk: map = sum_i(score_i mask_i) / (N p)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.engine.masks import MaskStream

Floats = NDArray[np.float64]
# Masks turned to float64 at a time: 32 x 448 x 448 x 8 bytes = 51 MB. Part of the result: it orders the sums.
BLOCK = 32


class Accumulator:
    """Sums of score x mask and of its square for q images, in float64 on the device."""

    def __init__(self, images: int, stream: MaskStream, device: str) -> None:
        # MPS has no float64; its sums are kept on the CPU.
        self._device = "cpu" if device.startswith("mps") else device
        shape = (images, stream.height_px, stream.width_px)
        self._stream = stream
        self._sum = torch.zeros(shape, dtype=torch.float64, device=self._device)
        self._squares = torch.zeros_like(self._sum)
        self._count = 0

    def add(self, masks: torch.Tensor, scores: Floats) -> None:
        """Add a chunk's masks (m, H, W) with their scores (q, m)."""
        weights = torch.from_numpy(scores).to(self._device)
        for start in range(0, len(masks), BLOCK):
            block = masks[start : start + BLOCK].to(self._device, torch.float64).flatten(1)
            part = weights[:, start : start + BLOCK]
            self._sum += (part @ block).view_as(self._sum)
            self._squares += (part.square() @ block.square()).view_as(self._sum)
        self._count += len(masks)

    def maps(self) -> NDArray[np.float32]:
        """Return the maps (q, H, W)."""
        result: NDArray[np.float32] = (self._sum / (self._count * self._stream.probability)).float().cpu().numpy()
        return result

    def errors(self) -> NDArray[np.float32]:
        """Return the standard errors of the maps (q, H, W); zero for a single mask."""
        n = self._count
        spread = (self._squares - self._sum.square() / n).clamp_min(0.0) / max(n - 1, 1)
        result: NDArray[np.float32] = ((spread / n).sqrt() / self._stream.probability).float().cpu().numpy()
        return result
