"""A map of numbers as colours, alone or over an image, in half blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.render.half_blocks import fit, half_blocks, joined, resized, runs
from medvlm_tui.render.palette import RGB, Depth, map_colours, rgb_style, shaded

# As in the PNG overlays: half image, half map.
_OPACITY = 0.5


def heat(
    values: NDArray[np.floating],
    width: int,
    height: int,
    depth: Depth = "truecolor",
    bounds: tuple[float, float] | None = None,
) -> Text:
    """Return the map (H, W) as large as its aspect allows in `width` x `height` cells.

    Colours run over `bounds`, by default from the map's smallest to its largest value. Without colour the map is
    drawn in shades.
    """
    if values.size == 0 or width < 1 or height < 1:
        return Text("", end="")
    return half_blocks(_pixels(values, fit(values.shape, width, height), depth, bounds), depth)


def overlay(
    values: NDArray[np.floating], image: NDArray[np.uint8], width: int, height: int, depth: Depth = "truecolor"
) -> Text:
    """Return the map (H, W) over the grey image (h, w) or (h, w, 3), in the image's aspect."""
    if values.size == 0 or image.size == 0 or width < 1 or height < 1:
        return Text("", end="")
    size = fit(image.shape, width, height)
    light = resized(image.astype(np.float64).reshape(*image.shape[:2], -1).mean(axis=2), *size)
    mixed = (1 - _OPACITY) * light[..., None] + _OPACITY * _pixels(values, size, depth, None)
    return half_blocks(np.rint(mixed).astype(np.uint8), depth)


def colour_bar(width: int, low: float, high: float, depth: Depth = "truecolor") -> Text:
    """Return a bar of `width` cells with the values of its ends under it; two lines."""
    ramp = map_colours(np.linspace(low, high, max(width, 1)), low, high)
    ends = (f"{low:.3g}", f"{high:.3g}")
    under = Text(ends[0] + ends[1].rjust(max(1, width - len(ends[0]))), no_wrap=True, end="")
    if shaded(depth):
        grey = np.repeat(np.linspace(0, 255, max(width, 1)).astype(np.uint8)[None, :, None], 3, axis=2)
        return joined([half_blocks(grey, depth), under])
    return joined([runs("█" * len(ramp), [rgb_style(colour) for colour in ramp.tolist()]), under])


def _pixels(
    values: NDArray[np.floating], size: tuple[int, int], depth: Depth, bounds: tuple[float, float] | None
) -> RGB:
    low, high = bounds or (float(np.nanmin(values)), float(np.nanmax(values)))
    shrunk = resized(values, *size)
    if not shaded(depth):
        return map_colours(shrunk, low, high)
    # Shades follow the value itself: a colour's brightness would not reach black or white.
    light = np.clip((shrunk - low) / ((high - low) or 1.0), 0, 1) * 255
    return np.repeat(light.astype(np.uint8)[..., None], 3, axis=2)
