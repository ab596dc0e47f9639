"""From a sample to its pixels: whichever kind of file it lies in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from medvlm_tui.core.specs import Sample
from medvlm_tui.core.text import clean
from medvlm_tui.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


def read_sample(sample: Sample) -> Image.Image:
    """Return the sample as an 8-bit RGB image; raises ImageError with the reason."""
    if sample.path.suffix.lower() == ".npz":
        return _from_archive(sample)
    from medvlm_tui.engine.images.raster import read_image

    return read_image(sample.path)


def _from_archive(sample: Sample) -> Image.Image:
    from PIL import Image

    name, _, row = sample.frame.partition("/")
    try:
        pixels = _archive_array(sample.path, name)[int(row)]
    except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile) as error:
        raise ImageError(
            f"{clean(sample.id)} cannot be read: {clean(str(error))}", "download the file again"
        ) from error
    if pixels.dtype.name != "uint8" or pixels.ndim not in (2, 3):
        raise ImageError(f"{clean(sample.id)} is no 8-bit image", "download the file again")
    return Image.fromarray(pixels).convert("RGB")


# The array of one part, 236 MB at 224 px: a compressed .npz can be read only whole.
@lru_cache(maxsize=1)
def _archive_array(path: Path, name: str) -> NDArray[Any]:
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        array: NDArray[Any] = archive[name]
        return array
