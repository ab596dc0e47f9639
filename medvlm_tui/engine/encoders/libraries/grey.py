"""Networks of one input channel behind the three that every image of the program has."""

from __future__ import annotations

from collections.abc import Callable

import torch

# ITU-R 601, as Pillow's conversion to `L` weighs them.
_GREEN, _BLUE = 0.587, 0.114


def one_channel(network: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function of (n, 3, H, W) that gives `network` the luminance (n, 1, H, W).

    All three channels are normalised alike, so the luminance of normalised values is the normalised luminance; of a
    grey image it is any one of its channels, to the last bit.
    """
    return lambda pixels: network(luminance(pixels))


def luminance(pixels: torch.Tensor) -> torch.Tensor:
    """Return (n, 1, H, W) of (n, 3, H, W)."""
    red, green, blue = pixels[:, 0:1], pixels[:, 1:2], pixels[:, 2:3]
    return red + _GREEN * (green - red) + _BLUE * (blue - red)
