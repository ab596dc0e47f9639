"""Burned-in text found in the image itself, and taken out of it again. No letters are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Box = tuple[int, int, int, int]
Grey = NDArray[np.float64]
# Letters of burned-in text: heights between these shares of the image, and never below 5 pixels.
_HEIGHT = (0.015, 0.12)
_LEAST_PX = 5
_LEAST_LETTERS = 3
_MARGIN_PX = 2


@dataclass(frozen=True, slots=True)
class TextLine:
    """A row of glyph-like shapes."""

    box: Box
    """(left, top, right, bottom) in pixels of the image."""
    letters: int


def find_text(image: Image.Image) -> list[TextLine]:
    """Return the lines of burned-in text of an image, top to bottom.

    Letters are connected strokes that are brighter than their surroundings by more than tissue is, nearly constant in
    grey, of letter-like size, and stand in a row of three or more with equal heights and small gaps. Meant for the
    bright annotations of ultrasound, X-ray and endoscopy; dark text is found by giving the inverted image.
    """
    grey = np.asarray(image.convert("L")).astype(np.float64)
    lines = _rows(_letters(grey))
    return sorted(lines, key=lambda line: (line.box[1], line.box[0]))


def _letters(grey: Grey) -> list[Box]:
    """Return the boxes of shapes that could be letters."""
    # Top-hat: what an opening wider than any stroke removes. Separable, where a running percentile takes minutes.
    stroke = max(5, int(0.025 * min(grey.shape)) | 1)
    bright = (grey - ndimage.grey_opening(grey, size=(stroke, stroke)) > 70) & (grey > 110)
    labels, count = ndimage.label(bright, structure=np.ones((3, 3)))
    found = []
    low, high = max(_LEAST_PX, _HEIGHT[0] * grey.shape[0]), max(_HEIGHT[1] * grey.shape[0], 12)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = place
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not (low <= height <= high and width <= 1.6 * height):
            continue
        inside = labels[place] == number
        core = grey[place][inside]
        steady = np.percentile(core, 90) - np.percentile(core, 60)
        if 0.12 <= inside.mean() <= 0.95 and np.percentile(core, 90) > 170 and steady < 40:
            found.append((columns.start, rows.start, columns.stop, rows.stop))
    assert count >= len(found)
    return found


def _rows(letters: list[Box]) -> list[TextLine]:
    """Group letters that stand side by side on one line."""
    lines: list[list[Box]] = []
    for letter in sorted(letters):
        line = next((known for known in lines if _continues(known[-1], letter)), None)
        if line is None:
            lines.append([letter])
        else:
            line.append(letter)
    return [TextLine(_around(line), len(line)) for line in lines if len(line) >= _LEAST_LETTERS and _even(line)]


def _continues(last: Box, letter: Box) -> bool:
    tall, other = last[3] - last[1], letter[3] - letter[1]
    level = abs(last[3] - letter[3]) <= 0.25 * max(tall, other) or abs(last[1] - letter[1]) <= 0.15 * max(tall, other)
    near = -2 <= letter[0] - last[2] <= 0.9 * max(tall, other)
    return level and near and 0.6 <= tall / other <= 1.7


def _even(line: Sequence[Box]) -> bool:
    heights = np.array([box[3] - box[1] for box in line])
    return bool(heights.std() <= 0.25 * heights.mean())


def _around(boxes: Sequence[Box]) -> Box:
    edges = np.array(boxes)
    left, top = edges[:, :2].min(axis=0)
    right, bottom = edges[:, 2:].max(axis=0)
    return int(left), int(top), int(right), int(bottom)


def blank(image: Image.Image, boxes: Iterable[Box]) -> Image.Image:
    """Return the image with each box filled with the median grey of the ring around it."""
    pixels = np.array(image.convert("RGB"))
    for box in boxes:
        rows, columns = _inside(box, pixels.shape)
        ring = np.zeros(pixels.shape[:2], dtype=bool)
        ring[max(rows.start - 2, 0) : rows.stop + 2, max(columns.start - 2, 0) : columns.stop + 2] = True
        ring[rows, columns] = False
        pixels[rows, columns] = np.median(pixels[ring], axis=0) if ring.any() else 0
    return Image.fromarray(pixels)


def inpaint(image: Image.Image, boxes: Iterable[Box]) -> Image.Image:
    """Return the image with each box filled by the membrane that its edge spans (Laplace's equation).

    Solved by relaxation from the nearest pixels outside; smooth, so that no texture is made up.
    """
    pixels = np.array(image.convert("RGB"))
    filled = pixels.astype(np.float64)
    hole = np.zeros(pixels.shape[:2], dtype=bool)
    for box in boxes:
        hole[_inside(box, pixels.shape)] = True
    if not hole.any() or hole.all():
        return Image.fromarray(pixels)
    near = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
    filled[hole] = filled[near[0][hole], near[1][hole]]
    kernel = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4.0
    # A pixel reads its four neighbours only: what lies further off than the hole's own ring takes no part.
    [part] = ndimage.find_objects(ndimage.binary_dilation(hole).astype(np.uint8))
    inside, moving = hole[part], filled[part]
    for _ in range(200):
        for channel in range(3):
            moving[..., channel][inside] = ndimage.convolve(moving[..., channel], kernel, mode="nearest")[inside]
    pixels[hole] = np.rint(filled[hole]).astype(np.uint8)
    return Image.fromarray(pixels)


def mask_border(image: Image.Image, share: float = 0.12) -> Image.Image:
    """Return the image with a frame of this share of each side painted black: most annotations stand there."""
    pixels = np.array(image.convert("RGB"))
    dy, dx = round(share * pixels.shape[0]), round(share * pixels.shape[1])
    kept = np.zeros_like(pixels)
    kept[dy : pixels.shape[0] - dy, dx : pixels.shape[1] - dx] = pixels[
        dy : pixels.shape[0] - dy, dx : pixels.shape[1] - dx
    ]
    return Image.fromarray(kept)


def _inside(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    left, top, right, bottom = box
    rows = slice(max(top - _MARGIN_PX, 0), min(bottom + _MARGIN_PX, shape[0]))
    return rows, slice(max(left - _MARGIN_PX, 0), min(right + _MARGIN_PX, shape[1]))
