"""Pictures as half blocks: each character cell shows two pixels, one above the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.text import Span, Text

from medvlm_tui.render.palette import RGB, Depth, on_light, rgb_style, shaded

_UPPER_HALF = "▀"
# Shares of ink for terminals without colour, from dark to light where ink is light.
_SHADES = " ░▒▓█"


def fit(shape: tuple[int, ...], width: int, height: int) -> tuple[int, int]:
    """Return the (columns, pixel rows) at which a picture of `shape` (H, W, ...) fills `width` x `height` cells.

    A cell is twice as high as wide, so that its two pixels are square; the aspect is kept to a pixel.
    """
    rows, columns = shape[0], shape[1]
    scale = min(width / columns, 2 * height / rows)
    return max(1, min(width, round(columns * scale))), max(1, min(2 * height, round(rows * scale)))


def resized(picture: NDArray[np.generic], columns: int, rows: int) -> NDArray[np.float64]:
    """Return the picture (H, W, ...) at (rows, columns, ...): the mean over the area that a pixel covers.

    Along an axis that grows, the nearest pixel is repeated.
    """
    values = np.asarray(picture, dtype=np.float64)
    values = _along(values, rows)
    return np.swapaxes(_along(np.swapaxes(values, 0, 1), columns), 0, 1)


def _along(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    length = values.shape[0]
    if size >= length:
        nearest: NDArray[np.float64] = values[np.arange(size) * length // size]
        return nearest
    # The integral along the axis, read at fractional borders: exact area weights without a loop.
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    borders = np.linspace(0, length, size + 1)
    floor = np.minimum(borders.astype(int), length - 1)
    part = (borders - floor).reshape(-1, *[1] * (values.ndim - 1))
    at = total[floor] + part * values[floor]
    return np.asarray(np.diff(at, axis=0) * (size / length))


def half_blocks(pixels: RGB, depth: Depth = "truecolor") -> Text:
    """Return pixels (rows, columns, 3) as lines of half blocks; an odd last row stands over the background.

    Without colour, and where there are only sixteen, every cell is a shade of its two pixels' mean brightness.
    """
    if len(pixels) % 2:
        pixels = np.concatenate([pixels, pixels[-1:]])
        lone = True
    else:
        lone = False
    upper, lower = pixels[0::2], pixels[1::2]
    shades = _SHADES[::-1] if on_light(depth) else _SHADES
    lines = [
        _shaded(top, bottom, shades) if shaded(depth) else _coloured(top, None if lone and last else bottom)
        for top, bottom, last in zip(upper, lower, _last(len(upper)), strict=True)
    ]
    return joined(lines)


def joined(lines: list[Text]) -> Text:
    """Return lines as one text, never wrapped; the spans keep their places, which `Text.join` does ten times slower."""
    spans, offset = [], 0
    for line in lines:
        spans += [Span(span.start + offset, span.end + offset, span.style) for span in line.spans]
        offset += len(line.plain) + 1
    return Text("\n".join(line.plain for line in lines), spans=spans, no_wrap=True, end="")


def _last(count: int) -> list[bool]:
    return [index == count - 1 for index in range(count)]


def _coloured(top: RGB, bottom: RGB | None) -> Text:
    """Return one line; neighbours of one style share a span."""
    styles = [
        rgb_style(upper) if bottom is None else f"{rgb_style(upper)} on {rgb_style(bottom[index])}"
        for index, upper in enumerate(top.tolist())
    ]
    return runs(_UPPER_HALF * len(styles), styles)


def runs(plain: str, styles: list[str]) -> Text:
    """Return `plain` with a style a character, as one span a run of equal styles; empty styles have no span."""
    spans, start = [], 0
    for index in range(1, len(styles) + 1):
        if index == len(styles) or styles[index] != styles[start]:
            if styles[start]:
                spans.append(Span(start, index, styles[start]))
            start = index
    return Text(plain, spans=spans, no_wrap=True, end="")


def _shaded(top: RGB, bottom: RGB, shades: str) -> Text:
    light = (top.astype(float).mean(axis=1) + bottom.astype(float).mean(axis=1)) / 2
    levels = np.minimum((light / 256 * len(shades)).astype(int), len(shades) - 1)
    return Text("".join(shades[level] for level in levels), no_wrap=True, end="")
