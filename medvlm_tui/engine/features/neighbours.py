"""Exact nearest neighbours by cosine distance: blocks of a matrix product, the k smallest of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.step.device_memory import naming_shortage, with_back_off

Floats = NDArray[np.float32]
# 512 x 28,160 (HiCervix) int64 = 115 MB.
BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest rows of every row, itself first."""

    indices: NDArray[np.int32]
    """(n, k)"""
    distances: Floats
    """(n, k) cosine distances, 0 to 2, ascending."""

    def first(self, k: int) -> Neighbours:
        """Return the k nearest of these."""
        return Neighbours(np.ascontiguousarray(self.indices[:, :k]), np.ascontiguousarray(self.distances[:, :k]))


def unit_rows(features: NDArray[np.floating]) -> Floats:
    """Return the rows scaled to length 1; a zero row stays zero, at distance 1 from every other row."""
    # Scaled by the largest entry first, so that the squares of huge or tiny rows neither overflow nor vanish.
    rows = np.asarray(features, dtype=np.float64)
    rows = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0).astype(np.float32)
    return scaled


def distance_blocks(units: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield (first row, cosine distances (rows, n)) of unit rows; a row's distance to itself is exactly 0."""
    for start in range(0, len(units), BLOCK_ROWS):
        block = np.clip(1.0 - units[start : start + BLOCK_ROWS] @ units.T, 0.0, 2.0)
        block[np.arange(len(block)), start + np.arange(len(block))] = 0.0
        yield start, block


def cosine_neighbours(units: Floats, k: int, check: Callable[[], None], device: str = "cpu") -> Neighbours:
    """Return the k <= n nearest rows of each unit row; ties go to the lower index. `check` may raise.

    The nearest j < k are the same bits whatever k is: a distance and its index are ordered as one integer, so no
    two entries of a row are equal. Memory beyond the result: two blocks of 512 rows.
    """
    import torch

    from medvlm_tui.engine.step.device_session import open_device

    n = len(units)
    indices, distances = np.empty((n, k), dtype=np.int32), np.empty((n, k), dtype=np.float32)
    with torch.inference_mode(), naming_shortage("the search for neighbours", device):
        open_device(device)
        rows = torch.from_numpy(np.ascontiguousarray(units)).to(device)
        position = torch.arange(n, device=device)

        def search(block: Sequence[int]) -> None:
            check()
            start, stop = block[0], block[-1] + 1
            apart = (1.0 - rows[start:stop] @ rows.T).clamp_(0.0, 2.0)
            # The bits of floats that are not negative are in the order of the floats.
            order = apart.view(torch.int32).to(torch.int64).bitwise_left_shift_(32).bitwise_or_(position)
            order[position[: stop - start], position[start:stop]] = -1  # itself, before any duplicate of itself
            nearest = _smallest(order, k)
            indices[start:stop] = nearest & 0xFFFFFFFF
            distances[start:stop] = (nearest >> 32).astype(np.int32).view(np.float32)

        with_back_off(search, range(n), BLOCK_ROWS)
    indices[:, 0], distances[:, 0] = np.arange(n), 0.0
    return Neighbours(indices, distances)


def _smallest(order: object, k: int) -> NDArray[np.int64]:
    """Return the k smallest of each row of an int64 tensor, ascending."""
    import torch

    assert isinstance(order, torch.Tensor)
    if order.is_cuda:
        chosen: NDArray[np.int64] = torch.topk(order, k, dim=1, largest=False, sorted=True).values.cpu().numpy()
        return chosen
    # numpy's selection uses the CPU's vector instructions: 4 times torch.topk's speed at k = 1000.
    values = order.numpy()
    values.partition(k - 1, axis=1)
    return np.sort(values[:, :k], axis=1)
