"""From a sample to its pixels: whichever kind of file it lies in."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from medvlm_tui.core.intensity_windows import parse_window
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.file_kind import is_dicom
from medvlm_tui.engine.images.parquet_images import FRAME, image_bytes
from medvlm_tui.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


_ARCHIVE_LOCK = Lock()


def read_sample(sample: Sample, window: str = "") -> Image.Image:
    """Return the sample as an 8-bit RGB image; raises ImageError with the reason.

    `window` says how more than 8 bits become 8 (see core/intensity_windows.py); features depend on it.
    """
    if sample.frame.startswith(FRAME):
        return _from_parquet(sample, window)
    if sample.path.suffix.lower() == ".npz":
        return _from_archive(sample)
    try:
        if is_dicom(sample.path):
            return _from_dicom(sample, window)
    except OSError as error:
        raise ImageError(f"{clean(sample.id)} cannot be read: {error.strerror}", "check the file") from error
    from medvlm_tui.engine.images.raster import read_image

    return read_image(sample.path, parse_window(window))


def _from_parquet(sample: Sample, window: str) -> Image.Image:
    """Return an image inside a Parquet file: its bytes are read as a file of their own, which lies in memory."""
    content = image_bytes(sample.path, sample.frame)
    descriptor = os.memfd_create("image", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        inside = replace(sample, path=Path(f"/proc/self/fd/{descriptor}"), frame="")
        return read_sample(inside, window)
    except ImageError as error:
        shown = error.message.replace(str(descriptor), f"row {sample.id} of {clean(sample.path.name)}", 1)
        raise ImageError(shown, error.hint) from error
    finally:
        os.close(descriptor)


def _from_dicom(sample: Sample, window: str) -> Image.Image:
    try:
        from medvlm_tui.engine.images.dicom.reading import read_dicom
    except ImportError as error:
        message = f"{clean(sample.id)}: reading DICOM needs {error.name}"
        raise ImageError(message, "pip install pydicom python-gdcm pylibjpeg pylibjpeg-openjpeg") from error
    return read_dicom(sample.path, parse_window(window), int(sample.frame) if sample.frame else None)


def _from_archive(sample: Sample) -> Image.Image:
    from PIL import Image

    name, _, row = sample.frame.partition("/")
    try:
        with _ARCHIVE_LOCK:  # threads that start together would each unpack the whole array
            array = _archive_array(sample.path, name)
        pixels = array[int(row)]
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
