"""One tower on one image at several scales, as S2 does it: tiles of the tower's own size, joined as channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

Tokens = Callable[[torch.Tensor], torch.Tensor]


def tokens_at_scales(tokens: Tokens, pixels: torch.Tensor, scales: Sequence[int]) -> torch.Tensor:
    """Return (n, cells, width * len(scales)) of (n, 3, H, W); `tokens` gives (n, cells, width) at the first scale.

    The larger scales' maps are averaged over areas down to the first one's. (bfshi/scaling_on_scales s2wrapper)
    """
    maps = [_map_at(tokens, pixels, size, scales[0]) for size in scales]
    side = maps[0].shape[-1]
    joined = torch.cat([functional.interpolate(found, side, mode="area") for found in maps], dim=1)
    return joined.flatten(2).transpose(1, 2)


def _map_at(tokens: Tokens, pixels: torch.Tensor, size: int, tile: int) -> torch.Tensor:
    """Return the map (n, width, side, side) of the image at one scale, put together from its tiles'."""
    count = -(-size // tile)
    resized = functional.interpolate(pixels, size, mode="bicubic", align_corners=False)
    tiles = torch.cat([part for row in resized.chunk(count, 2) for part in row.chunk(count, 3)])
    found = tokens(tiles)
    n, cells, width = found.shape
    side = round(cells**0.5)
    maps = found.transpose(1, 2).reshape(n, width, side, side).chunk(count * count)
    rows = [torch.cat(maps[row * count : (row + 1) * count], dim=3) for row in range(count)]
    return torch.cat(rows, dim=2)
