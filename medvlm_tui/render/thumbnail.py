"""An image as half blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.render.half_blocks import fit, half_blocks, resized
from medvlm_tui.render.outline import outlined
from medvlm_tui.render.palette import RGB, Depth


def thumbnail(
    image: NDArray[np.uint8],
    width: int,
    height: int,
    depth: Depth = "truecolor",
    region: NDArray[np.floating] | None = None,
) -> Text:
    """Return the image (H, W) or (H, W, 3) as large as its aspect allows in `width` x `height` cells; `region` is
    outlined."""
    if image.size == 0 or width < 1 or height < 1:
        return Text("", end="")
    return half_blocks(outlined(small(image, width, height), region, depth), depth)


def small(image: NDArray[np.uint8], width: int, height: int) -> RGB:
    """Return the image at the pixels that `width` x `height` cells show, (rows, columns, 3)."""
    colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    return np.rint(resized(colours[..., :3], *fit(image.shape, width, height))).clip(0, 255).astype(np.uint8)
