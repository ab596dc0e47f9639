"""The outline of a region on a picture that is as coarse as a terminal's cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.render.half_blocks import resized
from medvlm_tui.render.palette import RGB, Depth, colourless

_COLOUR = (255, 64, 200)
"""Pink: viridis, the grey image and the frames have none."""


def outlined(picture: RGB, region: NDArray[np.floating] | None, depth: Depth = "truecolor") -> RGB:
    """Return the picture (rows, columns, 3) with the outermost pixels of a region (H, W) in one colour.

    A pixel belongs to the region where at least half of it does, or where it holds the region's heaviest part (a
    region smaller than a pixel is one pixel). Nothing is drawn for an empty region or None.
    """
    if region is None or not np.any(region):
        return picture
    share = resized(np.asarray(region, dtype=np.float64) > 0, picture.shape[1], picture.shape[0])
    inside = share >= min(0.5, float(share.max()))
    padded = np.pad(inside, 1)
    whole = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    drawn = picture.copy()
    drawn[inside & ~whole] = (255, 255, 255) if colourless(depth) else _COLOUR
    return drawn
