"""Place of a pixel of the original image in what the model sees: resize, padding and crop as one affine map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.images.framing import crop_margin, short_side_size

Box = tuple[int, int, int, int]
# Of a pixel: an edge that is whole but for rounding is whole.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class View:
    """x of the view = x of the original * scale_x + offset_x, in pixel edges; likewise y."""

    size_px: int
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def mask(self, original: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return (size_px, size_px) bool of a mask (H, W) on the original: the pixel under each centre, else False."""
        centres = np.arange(self.size_px) + 0.5
        rows = np.floor((centres - self.offset_y) / self.scale_y).astype(np.int64)
        columns = np.floor((centres - self.offset_x) / self.scale_x).astype(np.int64)
        height, width = original.shape
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None]
        found = original[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)[None]]
        return np.asarray(found & inside)

    def box(self, original: Box) -> Box:
        """Return a box (left, top, right, bottom) in the view's pixels, cut at its edges; possibly empty."""
        left, top, right, bottom = original
        x = np.clip(
            np.rint([left * self.scale_x + self.offset_x, right * self.scale_x + self.offset_x]), 0, self.size_px
        )
        y = np.clip(
            np.rint([top * self.scale_y + self.offset_y, bottom * self.scale_y + self.offset_y]), 0, self.size_px
        )
        return int(x[0]), int(y[0]), int(x[1]), int(y[1])

    def seen(self, size: tuple[int, int]) -> Box:
        """Return the box of an original image of `size` = (width, height) that lies in the view, in whole pixels."""
        ends = [(-self.offset_x, self.scale_x, size[0]), (-self.offset_y, self.scale_y, size[1])]
        (left, right), (top, bottom) = (
            (
                max(0, int(np.ceil(first / scale - _ROUNDING))),
                min(length, int((first + self.size_px) / scale + _ROUNDING)),
            )
            for first, scale, length in ends
        )
        return left, top, right, bottom


def view_of(spec: PreprocessSpec, size: tuple[int, int]) -> View:
    """Return the view of an original image of `size` = (width, height) under a preprocessing."""
    width, height = size
    if spec.resize == "long_side_pad":
        factor = max(height, width) / spec.resize_px
        scaled = (max(1, int(width / factor)), max(1, int(height / factor)))
        return View(spec.size_px, scaled[0] / width, scaled[1] / height, 0.0, 0.0)
    pad_x = pad_y = 0
    if spec.resize == "pad_square":
        side = max(width, height)
        pad_x, pad_y = (side - width) // 2, (side - height) // 2
        width = height = side
    target = (spec.resize_px, spec.resize_px)
    if spec.resize == "none":
        target = (width, height)
    elif spec.resize == "short_side":
        target = short_side_size(width, height, spec.resize_px)
    scale_x, scale_y = target[0] / width, target[1] / height
    left = crop_margin(target[0] - spec.size_px, spec.crop_rounding)
    top = crop_margin(target[1] - spec.size_px, spec.crop_rounding)
    return View(spec.size_px, scale_x, scale_y, pad_x * scale_x - left, pad_y * scale_y - top)
