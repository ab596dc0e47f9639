"""A saliency map over its image as pixels, as the figures draw it."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from medvlm_tui.report.figures.canvas import COLOUR_MAP
from medvlm_tui.report.saliency.one_map import OPACITY


def overlay(image: NDArray[np.uint8], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the map (H, W), its colours from its smallest to its largest value, over the grey image (H, W, 3)."""
    low, high = float(values.min()), float(values.max())
    scaled: NDArray[np.float32] = (values - low) / (high - low) if high > low else np.zeros_like(values)
    colours = colormaps[COLOUR_MAP](scaled)[..., :3] * 255
    mixed = OPACITY * colours + (1 - OPACITY) * image.mean(axis=2, keepdims=True)
    shown: NDArray[np.uint8] = mixed.round().astype(np.uint8)
    return shown
