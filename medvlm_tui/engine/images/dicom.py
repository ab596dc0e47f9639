"""Reading DICOM: modality LUT or rescale, then VOI LUT or window, then inversion for MONOCHROME1, then 8 bits.

Messages carry file names and the standard's terms only: values of a file's tags may identify a patient.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

from medvlm_tui.core.intensity_windows import FROM_FILE, PERCENTILES, PRESETS, Window
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.images.raster import MAX_PIXELS
from medvlm_tui.engine.images.windowing import Function, stretched, windowed
from medvlm_tui.errors import ImageError

_FUNCTIONS: dict[str, Function] = {"LINEAR": "LINEAR", "LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}
_AGAIN = "get the file again, or convert it to PNG yourself"

# pydicom tells standard error about every oddity of a file, tag values included; what matters is an ImageError here.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module="pydicom")


def read_dicom(path: Path, window: Window = FROM_FILE, frame: int | None = None) -> Image.Image:
    """Return one frame of a DICOM file as 8-bit RGB; of several frames the middle one unless `frame` names another.

    The file's own window is the VOI LUT or the first window that it has. Where it has none: a CT is shown in the
    soft-tissue window, 8 bits or fewer as they are, anything else from its least to its greatest value (padding
    apart). Raises ImageError.
    """
    dataset = _opened(path)
    _refuse(dataset, path)
    pixels, index = _frame(dataset, path, frame)
    try:
        if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
            return _colour(np.asarray(apply_color_lut(pixels, dataset)), 16 if _palette_bits(dataset) > 8 else 8)
        if pixels.ndim == 3:
            return _colour(pixels, int(dataset.BitsStored))
        grey = _grey(dataset, pixels, index, window, path)
    except ImageError:
        raise
    except Exception as error:  # tags with impossible values raise anything; it costs this image alone
        raise ImageError(f"{clean(path.name)} has tags that contradict each other: {_kind(error)}", _AGAIN) from error
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        grey = 1.0 - grey
    return Image.fromarray(np.rint(grey * 255.0).astype(np.uint8)).convert("RGB")


def _opened(path: Path) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise ImageError(f"{clean(path.name)} has no DICOM header", "only DICOM part 10 files are read") from error
    except Exception as error:  # the parser raises almost anything on hostile bytes
        raise ImageError(f"{clean(path.name)} cannot be parsed as DICOM: {_kind(error)}", _AGAIN) from error


def _refuse(dataset: pydicom.Dataset, path: Path) -> None:
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ImageError(f"{clean(path.name)} holds no image", "leave reports, plans and waveforms out")
    try:
        rows, columns = int(dataset.Rows), int(dataset.Columns)
    except (AttributeError, TypeError, ValueError) as error:
        raise ImageError(f"{clean(path.name)} does not say how large its image is", _AGAIN) from error
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        raise ImageError(f"{clean(path.name)} declares {rows} x {columns} pixels", "cut tiles from it first")


def _frame(dataset: pydicom.Dataset, path: Path, frame: int | None) -> tuple[NDArray[Any], int]:
    """Return (H, W) or (H, W, 3) as stored, colour as RGB, and the frame's number."""
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        index = frames // 2 if frame is None else frame
        return np.asarray(pixel_array(dataset, index=index)), index
    except Exception as error:  # decoders raise almost anything on hostile bytes
        raise ImageError(f"{clean(path.name)} cannot be decoded: {_decoding_reason(dataset, error)}", _AGAIN) from error


def _decoding_reason(dataset: pydicom.Dataset, error: Exception) -> str:
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        return "its transfer syntax is not stated"
    name = syntax.name if syntax.name != syntax else "an unknown transfer syntax"
    return f"{_kind(error)}, {clean(name)}, {dataset.get('BitsStored', '?')} bits"


def _kind(error: Exception) -> str:
    return type(error).__name__


def _palette_bits(dataset: pydicom.Dataset) -> int:
    return int(dataset.RedPaletteColorLookupTableDescriptor[2])


def _colour(pixels: NDArray[Any], bits: int) -> Image.Image:
    """Return RGB of `bits` bits a channel as 8 bits: the high byte of deeper ones."""
    deep = pixels.astype(np.uint64)
    grey = deep >> np.uint64(bits - 8) if bits > 8 else deep * 255 // (2**bits - 1)
    return Image.fromarray(np.minimum(grey, 255).astype(np.uint8)[..., :3])


def _grey(
    dataset: pydicom.Dataset, pixels: NDArray[Any], index: int, window: Window, path: Path
) -> NDArray[np.float64]:
    """Return (H, W) in 0 to 1."""
    values = _rescaled(dataset, pixels, index)
    if not np.isfinite(values).all():
        raise ImageError(f"{clean(path.name)} holds values that are no numbers", _AGAIN)
    if window.kind == "preset" and dataset.get("Modality") != "CT":
        raise ImageError(
            f"{clean(path.name)} is no CT, and the window {window} is meant for Hounsfield units",
            "use the window file, percentiles, or CENTRE/WIDTH",
        )
    if window.kind in ("preset", "fixed"):
        # The one that LINEAR takes off a width is a grey level; a width below it is meant for finer values.
        return windowed(values, window.centre, window.width, "LINEAR" if window.width >= 1 else "LINEAR_EXACT")
    if window.kind == "percentiles":
        return stretched(values, *np.percentile(_without_padding(dataset, pixels, values), PERCENTILES))
    return _as_the_file_says(dataset, pixels, values, index)


def _rescaled(dataset: pydicom.Dataset, pixels: NDArray[Any], index: int) -> NDArray[Any]:
    group = _group(dataset, index, "PixelValueTransformationSequence")
    return np.asarray(apply_modality_lut(pixels, dataset if group is None else group))


def _as_the_file_says(
    dataset: pydicom.Dataset, pixels: NDArray[Any], values: NDArray[Any], index: int
) -> NDArray[np.float64]:
    if dataset.get("VOILUTSequence"):
        return _looked_up(dataset.VOILUTSequence[0], values, dataset.original_encoding[1] is False)
    group = _group(dataset, index, "FrameVOILUTSequence")
    source = dataset if group is None else group
    if source.get("WindowWidth") is not None and source.get("WindowCenter") is not None:
        function = _FUNCTIONS[str(source.get("VOILUTFunction") or "LINEAR").upper()]
        if pixels.dtype.kind == "f" and function == "LINEAR":
            function = "LINEAR_EXACT"  # the half and the one of LINEAR count integer grey levels
        return windowed(values, _first(source.WindowCenter), _first(source.WindowWidth), function)
    if dataset.get("Modality") == "CT":
        return windowed(values, *PRESETS["soft_tissue"])
    if values is pixels and int(dataset.get("BitsStored") or 64) <= 8 and not dataset.get("PixelRepresentation"):
        return stretched(values, 0, 2 ** int(dataset.BitsStored) - 1)
    kept = _without_padding(dataset, pixels, values)
    return stretched(values, float(kept.min()), float(kept.max()))


def _looked_up(table: pydicom.Dataset, values: NDArray[Any], big_endian: bool) -> NDArray[np.float64]:
    """Return values in 0 to 1 by a VOI LUT; values beside the table take its first or last entry.

    pydicom 3.0.2's own apply_voi wraps the index of an 8-bit table at 256.
    """
    entries, first, bits = (int(number) for number in table.LUTDescriptor)
    data = table.LUTData
    if isinstance(data, bytes):
        word = "u1" if len(data) == entries else ">u2" if big_endian else "<u2"
        data = np.frombuffer(data, dtype=word)
    curve = np.asarray(data, dtype=np.float64)[: entries or 65536]
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, len(curve) - 1)
    return stretched(curve[index], 0, 2**bits - 1)


def _without_padding(dataset: pydicom.Dataset, pixels: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    padding = dataset.get("PixelPaddingValue")
    kept = values[pixels != padding] if isinstance(padding, int) else values
    return kept if kept.size else values


def _first(value: Any) -> float:
    return float(value if isinstance(value, (int, float, str)) else value[0])


def _group(dataset: pydicom.Dataset, index: int, name: str) -> pydicom.Dataset | None:
    """Return a functional group of an enhanced multi-frame file: the frame's own, else the shared one."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for place in ([per_frame[index]] if index < len(per_frame) else []) + list(shared[:1]):
        if place.get(name):
            group: pydicom.Dataset = place[name][0]
            return group
    return None
