"""Reading DICOM: modality LUT or rescale, then VOI LUT or window, then inversion for MONOCHROME1, then 8 bits.

Messages carry file names and the standard's terms only: values of a file's tags may identify a patient.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UncompressedTransferSyntaxes

from medvlm_tui.core.intensity_windows import FROM_FILE, Window
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.images.dicom.palettes import apply_palette
from medvlm_tui.engine.images.dicom.tags import code, count
from medvlm_tui.engine.images.dicom.values import measured
from medvlm_tui.engine.images.dicom.windows import colour_shares, shares
from medvlm_tui.engine.images.raster import MAX_PIXELS
from medvlm_tui.engine.images.windowing import to_bytes, windowed_rgb
from medvlm_tui.errors import ImageError

_AGAIN = "get the file again, or convert it to PNG yourself"
_COLOUR_SPACES = ("RGB", "YBR_FULL", "YBR_FULL_422")
# What JPEG 2000 does inside; its decoder gives RGB back.
_JPEG_2000_SPACES = ("YBR_ICT", "YBR_RCT")


def read_dicom(path: Path, window: Window = FROM_FILE, frame: int | None = None) -> Image.Image:
    """Return one frame of a DICOM file as 8-bit RGB; of several frames the middle one unless `frame` names another.

    Grey levels and colours of 8 bits that were not measured look the same under every window. For deeper values
    `file` is the file's VOI LUT or window; where it has none, a CT in Hounsfield units is shown in the soft-tissue
    window, anything else from its least to its greatest value (padding apart). Raises ImageError.
    """
    dataset = _opened(path)
    try:
        _refuse(dataset)
        pixels, index = _frame(dataset, frame)
        return _shown(dataset, pixels, index, window)
    except ImageError as error:
        raise ImageError(f"{clean(path.name)} {error.message}", error.hint) from error
    except Exception as error:  # tags with impossible values raise anything; it costs this image alone
        raise ImageError(f"{clean(path.name)} has tags that contradict each other: {_kind(error)}", _AGAIN) from error


def _shown(dataset: pydicom.Dataset, pixels: NDArray[Any], index: int, window: Window) -> Image.Image:
    space = code(dataset, "PhotometricInterpretation")
    if space == "PALETTE COLOR" and pixels.ndim == 2:
        return Image.fromarray(apply_palette(pixels, dataset))
    if pixels.ndim == 3:
        return _colour(pixels[..., :3], count(dataset, "BitsStored") or 8, window)
    found = measured(dataset, pixels, index)
    grey = shares(dataset, found, index, window)
    levels = to_bytes(1.0 - grey if space == "MONOCHROME1" else grey)
    return Image.fromarray(levels).convert("RGB") if found.captured else windowed_rgb(levels)


def _opened(path: Path) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise ImageError(f"{clean(path.name)} has no DICOM header", "only DICOM part 10 files are read") from error
    except Exception as error:  # the parser raises almost anything on hostile bytes
        raise ImageError(f"{clean(path.name)} cannot be parsed as DICOM: {_kind(error)}", _AGAIN) from error


def _refuse(dataset: pydicom.Dataset) -> None:
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ImageError("holds no image", "leave reports, plans and waveforms out")
    try:
        rows, columns = count(dataset, "Rows"), count(dataset, "Columns")
    except ImageError:
        rows = columns = None
    if rows is None or columns is None:
        raise ImageError("does not say how large its image is", _AGAIN)
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        raise ImageError(f"declares {rows} x {columns} pixels", "cut tiles from it first")
    _refuse_colour_space(dataset)


def _refuse_colour_space(dataset: pydicom.Dataset) -> None:
    """Refuse colours that would be shown as if they were red, green and blue."""
    if count(dataset, "SamplesPerPixel") in (None, 1):
        return
    space = code(dataset, "PhotometricInterpretation")
    known = _COLOUR_SPACES if _is_native(dataset) else _COLOUR_SPACES + _JPEG_2000_SPACES
    if space not in known:
        raise ImageError("has a PhotometricInterpretation that is not read", "convert it to RGB")


def _is_native(dataset: pydicom.Dataset) -> bool:
    return getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None) in UncompressedTransferSyntaxes


def _frame(dataset: pydicom.Dataset, frame: int | None) -> tuple[NDArray[Any], int]:
    """Return (H, W) or (H, W, 3) as stored, colour as RGB, and the frame's number."""
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        index = frames // 2 if frame is None else frame
        return _stored(dataset, index), index
    except Exception as error:  # decoders raise almost anything on hostile bytes
        raise ImageError(f"cannot be decoded: {_decoding_reason(dataset, error)}", _AGAIN) from error


def _stored(dataset: pydicom.Dataset, index: int) -> NDArray[Any]:
    """Return the stored values of a frame, also where they end at another bit than the lowest.

    pydicom takes the lowest `BitsStored` bits. A `HighBit` above them is right where the bits below are all empty.
    """
    bits = count(dataset, "BitsStored")
    above = _bits_below(dataset)
    if above and bits is not None:
        dataset.BitsStored = bits + above
        try:
            raised = np.asarray(pixel_array(dataset, index=index))
        finally:
            dataset.BitsStored = bits
        if not (raised & (2**above - 1)).any():
            return np.asarray(raised >> above)
    return np.asarray(pixel_array(dataset, index=index))


def _bits_below(dataset: pydicom.Dataset) -> int:
    """Return how many bits lie below a pixel's lowest one by its `HighBit`."""
    high, bits, allocated = (count(dataset, name) for name in ("HighBit", "BitsStored", "BitsAllocated"))
    if high is None or bits is None or allocated is None or not _is_native(dataset) or "PixelData" not in dataset:
        return 0
    return max(0, high + 1 - bits) if high < allocated else 0


def _decoding_reason(dataset: pydicom.Dataset, error: Exception) -> str:
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        return "its transfer syntax is not stated"
    name = syntax.name if syntax.name != syntax else "an unknown transfer syntax"
    bits = dataset.get("BitsStored")
    return f"{_kind(error)}, {clean(name)}, {bits if isinstance(bits, int) else '?'} bits"


def _kind(error: Exception) -> str:
    return type(error).__name__


def _colour(pixels: NDArray[Any], bits: int, window: Window) -> Image.Image:
    """Return RGB (H, W, 3) with `bits` bits per channel as an image."""
    if bits > 8:
        return windowed_rgb(to_bytes(colour_shares(pixels, window)))
    levels: NDArray[np.uint8] = np.minimum(pixels.astype(np.uint64) * 255 // (2**bits - 1), 255).astype(np.uint8)
    return Image.fromarray(levels)
