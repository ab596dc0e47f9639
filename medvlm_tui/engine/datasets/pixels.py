"""From a sample to its pixels: whichever kind of file it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medvlm_tui.core.specs import Sample

if TYPE_CHECKING:
    from PIL import Image


def read_sample(sample: Sample) -> Image.Image:
    """Return the sample as an RGB image; raises ImageError with the reason."""
    from medvlm_tui.engine.images.raster import read_image

    return read_image(sample.path)
