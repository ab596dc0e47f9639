"""Contrast of a colour on a ground, by the ratio of luminances of WCAG 2."""

from __future__ import annotations

from functools import lru_cache

RGB = tuple[int, int, int]

TEXT = 4.5
"""Least ratio for text (WCAG 2.2, 1.4.3, level AA)."""
LETTER = 3.0
"""Least ratio for a letter or a sign that stands alone and is also told by its shape (1.4.11)."""
_STEPS = 40


def luminance(colour: RGB) -> float:
    """Return the relative luminance of an sRGB colour, 0 to 1."""
    red, green, blue = (_linear(value / 255) for value in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: RGB, other: RGB) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@lru_cache(1024)
def readable(colour: RGB, ground: RGB, least: float = TEXT) -> RGB:
    """Return the colour, or the nearest mixture of it with white or black that is read on the ground."""
    end = 255 if contrast((255, 255, 255), ground) >= contrast((0, 0, 0), ground) else 0
    mixed = colour
    for step in range(1, _STEPS + 1):
        if contrast(mixed, ground) >= least:
            return mixed
        share = step / _STEPS
        red, green, blue = (round(value + (end - value) * share) for value in colour)
        mixed = (red, green, blue)
    return mixed


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
