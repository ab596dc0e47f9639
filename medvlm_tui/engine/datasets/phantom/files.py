"""The PNG files of the phantoms: equal pixels give equal bytes, and each file says that it is SYNTHETIC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

_NOTE = "SYNTHETIC: drawn by medvlm-tui, not an image of a patient"


def write_grey(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W) uint8 as an 8-bit grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    note = PngInfo()
    note.add_text("Comment", _NOTE)
    Image.fromarray(pixels).save(path, pnginfo=note, compress_level=6)


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write (H, W) bool as a grey PNG of 0 and 255."""
    write_grey(path, np.where(mask, 255, 0).astype(np.uint8))
