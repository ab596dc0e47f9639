"""Grey levels to the range 0 to 1: the formulas of intensity windows, as the DICOM standard gives them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.intensity_windows import PERCENTILES

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
# LINEAR takes one grey level off the width. Below this width, that is more than a sixteenth of the window.
_NARROW = 16
# exp overflows beyond 709; at 60 the curve is 0 or 1 in double precision.
_STEEPEST = 60.0
_WINDOWED = "windowed"


def linear_function(width: float, step: float) -> Function:
    """Return the formula of a linear window over values that lie `step` apart (0: floating-point values).

    The half and the one in LINEAR stand for one integer grey level (PS3.3 C.11.2.1.2.1). A width below 1, or a narrow
    window over values finer than 1 (a rescale to fractions), cannot mean that: LINEAR_EXACT is what their makers mean.
    """
    fine = step < 1 and width < _NARROW
    return "LINEAR_EXACT" if step == 0 or width < 1 or fine else "LINEAR"


def windowed(values: NDArray[Any], centre: float, width: float, function: Function = "LINEAR") -> NDArray[np.float64]:
    """Return values in 0 to 1 by DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3; `width` is above 0."""
    x = values.astype(np.float64)
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - centre) / width, -_STEEPEST, _STEEPEST)))
    if function == "LINEAR_EXACT":
        return np.clip((x - centre) / width + 0.5, 0.0, 1.0)
    if width <= 1:  # the standard's limit of the linear formula: a step
        return (x > centre - 0.5).astype(np.float64)
    return np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    """Return values in 0 to 1 with `low` at 0 and `high` at 1; a flat image becomes 0."""
    if high <= low:
        return np.zeros(values.shape)
    return np.clip((values.astype(np.float64) - low) / (high - low), 0.0, 1.0)


def between_percentiles(values: NDArray[Any], kept: NDArray[Any]) -> NDArray[np.float64]:
    """Return values in 0 to 1 between the percentiles of those that count: `kept` is without padding."""
    return stretched(values, *np.percentile(kept, PERCENTILES))


def windowed_rgb(levels: NDArray[np.uint8]) -> Image.Image:
    """Return (H, W) or (H, W, 3) that a window made as an RGB image, marked as such for `is_hidden`."""
    image = Image.fromarray(levels).convert("RGB")
    image.info[_WINDOWED] = True
    return image


def is_hidden(image: Image.Image) -> bool:
    """Return whether a window left nothing of an image: one colour in every pixel, where more may lie in the file."""
    return bool(image.info.get(_WINDOWED)) and is_flat(image)


def is_flat(image: Image.Image) -> bool:
    """Return whether every pixel of an image has the same colour."""
    extrema = image.getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in pairs)


def to_bytes(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return 0 to 1 as 0 to 255, rounded to the nearest, halves to even."""
    return np.rint(shares * 255.0).astype(np.uint8)
