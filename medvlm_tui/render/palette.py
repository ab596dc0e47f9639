"""Colours of classes and of maps in a terminal, for 16 million, 256, 16 or no colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Depth = Literal["truecolor", "256", "16", "16-light", "none", "none-light"]
"""Colours of a terminal; of those that show pictures in shades of ink, whether the ground is light."""
RGB = NDArray[np.uint8]

# Okabe and Ito's hues in the order of the figures (blue, vermillion, green, pink, orange, sky, grey, yellow) as names
# of a terminal's sixteen colours. The theme of the screens says what each looks like, on a dark and on a light ground.
_CLASSES = ("blue", "bright_red", "green", "magenta", "yellow", "bright_cyan", "white", "bright_yellow")
FAINT = "bright_black"
# viridis at 17 even steps; linear in between it is never off by more than 6 of 255.
_VIRIDIS: RGB = np.array(
    [
        (68, 1, 84), (72, 24, 106), (71, 45, 123), (66, 64, 134), (59, 82, 139), (51, 99, 141), (44, 114, 142),
        (38, 130, 142), (33, 145, 140), (31, 160, 136), (40, 174, 128), (63, 188, 115), (94, 201, 98),
        (132, 212, 75), (173, 220, 48), (216, 226, 25), (253, 231, 37),
    ],
    dtype=np.uint8,
)  # fmt: skip


def class_colours(count: int, depth: Depth = "truecolor") -> tuple[str, ...]:
    """Return the name of a colour for each class, repeating after eight; empty where there is no colour."""
    if colourless(depth):
        return ("",) * count
    return tuple(_CLASSES[index % len(_CLASSES)] for index in range(count))


def grey(depth: Depth = "truecolor") -> str:
    """Return the colour of what steps back."""
    return "" if colourless(depth) else FAINT


def colourless(depth: Depth) -> bool:
    """Return whether nothing has a colour."""
    return depth in ("none", "none-light")


def shaded(depth: Depth) -> bool:
    """Return whether pictures are drawn in shades of ink: sixteen colours have four greys, nearly all white."""
    return colourless(depth) or depth in ("16", "16-light")


def on_light(depth: Depth) -> bool:
    """Return whether ink is dark and the ground light."""
    return depth in ("16-light", "none-light")


def class_letters(count: int) -> tuple[str, ...]:
    """Return a letter a class: a to z, then A to Z, then · for the rest."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return tuple(letters[index] if index < len(letters) else "·" for index in range(count))


def map_colours(values: NDArray[np.floating], low: float, high: float) -> RGB:
    """Return (..., 3) uint8 viridis colours of values, clipped to [low, high]; a flat map gets the lowest colour."""
    span = high - low
    place = np.clip((np.asarray(values, dtype=np.float64) - low) / (span if span > 0 else 1.0), 0.0, 1.0)
    place = np.nan_to_num(place) * (len(_VIRIDIS) - 1)
    floor = np.minimum(place.astype(int), len(_VIRIDIS) - 2)
    part = (place - floor)[..., None]
    mixed: RGB = np.rint(_VIRIDIS[floor] * (1 - part) + _VIRIDIS[floor + 1] * part).astype(np.uint8)
    return mixed


def rgb_style(colour: Sequence[int]) -> str:
    """Return a colour of three bytes as rich names it."""
    return f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"
