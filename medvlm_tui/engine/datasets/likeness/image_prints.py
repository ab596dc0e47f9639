"""Data kept of an image to recognise it: made in a decoding process, so that it loads little."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.digests import of_array
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.decoding_task import Reduced
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.images.windowing import is_flat, is_hidden

THUMBNAIL_PX = 32
FLAT, HIDDEN = "flat", "hidden"
"""Of images in one grey level: by themselves, or by the window alone."""


def read_print(sample: Sample, window: str) -> Reduced:
    """Return thumbnail (THUMBNAIL_PX, THUMBNAIL_PX), digest of the pixels, and of images in one grey level why."""
    image = read_sample(sample, window)
    level = ""
    if is_flat(image):
        level = HIDDEN if is_hidden(image) else FLAT
    return Reduced(thumbnail(image), {"pixels": of_array(np.asarray(image)), "level": level})


def thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    """Return (THUMBNAIL_PX, THUMBNAIL_PX) grey, squashed to a square."""
    small = image.convert("L").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def read_small(sample: Sample, window: str, side_px: int) -> Reduced:
    """Return an image (H, W, 3) scaled so that no side is above `side_px`; smaller ones stay."""
    small = read_sample(sample, window)
    small.thumbnail((side_px, side_px), Image.Resampling.BOX)
    return Reduced(np.asarray(small), {})
