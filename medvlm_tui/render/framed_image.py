"""An image as half blocks with a frame around a part of it, or that part alone, larger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.render.half_blocks import half_blocks
from medvlm_tui.render.palette import Depth
from medvlm_tui.render.thumbnail import small, thumbnail

Box = Sequence[int]
"""Left, top, right, bottom in the image's pixels, the last two excluded."""
_FRAME = (230, 159, 0)


def framed(image: NDArray[np.uint8], box: Box, width: int, height: int, depth: Depth = "truecolor") -> Text:
    """Return the whole image with a frame just outside the box."""
    if image.size == 0 or width < 1 or height < 1:
        return Text("", end="")
    picture = small(image, width, height)
    rows, columns = picture.shape[:2]
    across, down = columns / image.shape[1], rows / image.shape[0]
    left, right = _outside(box[0] * across, box[2] * across, columns)
    top, bottom = _outside(box[1] * down, box[3] * down, rows)
    picture[[top, bottom], left : right + 1] = _FRAME
    picture[top : bottom + 1, [left, right]] = _FRAME
    return half_blocks(picture, depth)


def closer(image: NDArray[np.uint8], box: Box, width: int, height: int, depth: Depth = "truecolor") -> Text:
    """Return the box alone with a little of what is around it."""
    return thumbnail(part_of(image, box), width, height, depth)


def part_of(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return the box with a third of its height around it."""
    left, top, right, bottom = box
    room = max(1, (bottom - top) // 3)
    return image[max(0, top - room) : bottom + room, max(0, left - room) : right + room]


def _outside(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the pixels next to a range, or the picture's own edge where there are none."""
    return max(0, int(np.floor(low)) - 1), min(size - 1, int(np.ceil(high)))
