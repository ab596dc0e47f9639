"""Squares over lesions and elsewhere in the same image, and what they are filled with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from medvlm_tui.engine.images.geometry import Box

Pixels = NDArray[np.uint8]
LARGEST = 0.7
"""Of the short side: the largest square."""
TOO_LARGE = "the lesion is larger than the square"
_TRIES = 500


@dataclass(frozen=True, slots=True)
class Squares:
    """The square over the lesion, and one of the same size elsewhere."""

    lesion: Box
    """(left, top, right, bottom) in pixels of the image."""
    moved: Box
    """Touches no part of the lesion's box where the image has room for that, and as little of it as was found else."""
    overlap: float
    """Share of the lesion's box below `moved`."""
    cut_off: float
    """Share of `moved` outside the part of the image that the model sees."""


def box_of(mask: NDArray[np.bool_]) -> Box | None:
    """Return the tight box of a mask (H, W), None of an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return None if len(rows) == 0 else (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def extent(box: Box, size: tuple[int, int]) -> float:
    """Return the longer side of a box over the image's short side."""
    return max(box[2] - box[0], box[3] - box[1]) / min(size)


def squares(
    box: Box, size: tuple[int, int], share: float, jitter: float, seed: tuple[int, ...], seen: Box | None = None
) -> Squares | str:
    """Return both squares for a lesion's box in an image (width, height), or why there are none.

    The first covers the whole box, about its centre, moved by up to `jitter` of the short side in each direction. The
    second hides as little of the box as it can, and lies in the part of the image that the model sees as far as that
    allows; `seen` is that part, the whole image where it is None.
    """
    side, rng = round(share * min(size)), np.random.default_rng(seed)
    corner = []
    for axis in (0, 1):
        low, high = max(0, box[axis + 2] - side), min(box[axis], size[axis] - side)
        if low > high:
            return TOO_LARGE
        centre = (box[axis] + box[axis + 2] - side) / 2 + rng.uniform(-jitter, jitter) * min(size)
        corner.append(int(np.clip(round(centre), low, high)))
    over = (corner[0], corner[1], corner[0] + side, corner[1] + side)
    seen = seen or (0, 0, *size)
    tries = [(x, y, x + side, y + side) for x, y in rng.integers(0, [n - side + 1 for n in size], (_TRIES, 2)).tolist()]
    # As little of the lesion as can be; of those that hide equally little of it, the one that is cut off least.
    moved = min(tries, key=lambda square: (_common(square, box), -_common(square, seen)))
    return Squares(over, moved, _share(box, moved), 1 - _share(moved, seen))


def _common(first: Box, second: Box) -> int:
    """Return the number of pixels that two boxes share."""
    sides = (min(first[axis + 2], second[axis + 2]) - max(first[axis], second[axis]) for axis in (0, 1))
    width, height = (max(0, side) for side in sides)
    return width * height


def _share(box: Box, other: Box) -> float:
    """Return the share of a box that lies in another one."""
    return _common(box, other) / ((box[2] - box[0]) * (box[3] - box[1]))


def covered(image: Image.Image, square: Box, fill: str, seed: tuple[int, ...]) -> Image.Image:
    """Return the image with a filled square; the fill is made of the pixels outside it alone."""
    pixels = np.asarray(image.convert("RGB"))
    inside = np.zeros(pixels.shape[:2], dtype=bool)
    inside[square[1] : square[3], square[0] : square[2]] = True
    return _filled(pixels, inside, square, fill, seed)


def only(image: Image.Image, square: Box, fill: str, seed: tuple[int, ...]) -> Image.Image:
    """Return the image with everything but the square filled; the fill is made of the pixels inside it alone."""
    pixels = np.asarray(image.convert("RGB"))
    outside = np.ones(pixels.shape[:2], dtype=bool)
    outside[square[1] : square[3], square[0] : square[2]] = False
    return _filled(pixels, outside, square, fill, seed)


def _filled(pixels: Pixels, hidden: NDArray[np.bool_], square: Box, fill: str, seed: tuple[int, ...]) -> Image.Image:
    seen = pixels[~hidden].astype(np.float64)
    mean = seen.mean(axis=0)
    made = pixels.copy()
    made[hidden] = np.rint(mean).astype(np.uint8)
    if fill == "noise":
        spread = float(seen.mean(axis=1).std())
        drawn = np.random.default_rng(seed).normal(0.0, spread, (int(hidden.sum()), 1))
        made[hidden] = np.rint(np.clip(mean + drawn, 0, 255)).astype(np.uint8)
    elif fill == "blur":
        # Of the image whose hidden part is its mean already: nothing hidden leaks into the blur.
        sigma = (square[2] - square[0]) / 4
        blurred = np.asarray(Image.fromarray(made).filter(ImageFilter.GaussianBlur(sigma)))
        made[hidden] = blurred[hidden]
    return Image.fromarray(made)
