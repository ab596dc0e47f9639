"""From the values of a grey DICOM image to 0 to 1: by the user's window, else by what the file says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from medvlm_tui.core.intensity_windows import PRESETS, Window
from medvlm_tui.engine.images.dicom.palettes import apply_voi_table, is_big_endian
from medvlm_tui.engine.images.dicom.tags import code, frame_group, numbers
from medvlm_tui.engine.images.dicom.values import Measured
from medvlm_tui.engine.images.windowing import Function, between_percentiles, linear_function, stretched, windowed
from medvlm_tui.errors import ImageError

_FUNCTIONS: dict[str, Function] = {"LINEAR": "LINEAR", "LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_CHOOSE = "choose another: --window percentiles or CENTRE/WIDTH"


def shares(dataset: pydicom.Dataset, found: Measured, index: int, window: Window) -> NDArray[np.float64]:
    """Return (H, W) in 0 to 1, before the inversion of MONOCHROME1.

    Grey levels of 8 bits that were not measured look the same under every window. Raises ImageError for a preset on
    values that are no Hounsfield units, and for a window in the file that means nothing.
    """
    if found.captured:
        return _captured(dataset, found, index)
    if window.kind == "preset" and not found.hounsfield:
        raise ImageError(
            f"holds no Hounsfield units (it is no rescaled CT), and the window {window} is meant for them",
            "use the window file, percentiles, or CENTRE/WIDTH",
        )
    if window.kind in ("preset", "fixed"):
        return windowed(found.values, window.centre, window.width, linear_function(window.width, found.step))
    if window.kind == "percentiles":
        return between_percentiles(found.values, found.counted)
    return _by_the_file(dataset, found, index)


def _by_the_file(dataset: pydicom.Dataset, found: Measured, index: int) -> NDArray[np.float64]:
    """Use the VOI LUT or window of the file; without one soft tissue for Hounsfield units, else all grey levels."""
    if dataset.get("VOILUTSequence"):
        return apply_voi_table(dataset.VOILUTSequence[0], found.values, is_big_endian(dataset))
    stated = _stated_window(dataset, index)
    if stated is not None:
        return windowed(found.values, *stated, _function(dataset, index, stated[1], found.step))
    if found.hounsfield:
        return windowed(found.values, *PRESETS["soft_tissue"], linear_function(400, found.step))
    return stretched(found.values, float(found.counted.min()), float(found.counted.max()))


def _captured(dataset: pydicom.Dataset, found: Measured, index: int) -> NDArray[np.float64]:
    """Show grey levels as they are stored, by their VOI LUT, or by a window of their own that can mean them."""
    if dataset.get("VOILUTSequence"):
        return apply_voi_table(dataset.VOILUTSequence[0], found.values, is_big_endian(dataset))
    low, high = found.range
    stated = None if _is_capture(dataset) else _stated_window(dataset, index)
    if stated is not None and low <= stated[0] <= high + 1 and stated[1] <= high - low + 2:
        return windowed(found.values, *stated, _function(dataset, index, stated[1], found.step))
    return stretched(found.values, low, high)


def _is_capture(dataset: pydicom.Dataset) -> bool:
    """Return whether grey levels that are not measured were taken from a screen, as those of a CT are: a window beside
    them belongs to what the screen showed."""
    kind = str(dataset.get("SOPClassUID") or "")
    screen = kind == _SECONDARY_CAPTURE or kind.startswith(f"{_SECONDARY_CAPTURE}.")
    return screen or code(dataset, "Modality") == "CT"


def _source(dataset: pydicom.Dataset, index: int) -> pydicom.Dataset:
    group = frame_group(dataset, index, "FrameVOILUTSequence")
    return dataset if group is None else group


def _stated_window(dataset: pydicom.Dataset, index: int) -> tuple[float, float] | None:
    """Return centre and width of the first of the file's windows that has a width; raises ImageError for none."""
    source = _source(dataset, index)
    pairs = list(zip(numbers(source, "WindowCenter"), numbers(source, "WindowWidth"), strict=False))
    for centre, width in pairs:
        if width > 0:
            return centre, width
    if pairs:
        raise ImageError("states a window whose width is not above 0", _CHOOSE)
    return None


def _function(dataset: pydicom.Dataset, index: int, width: float, step: float) -> Function:
    name = code(_source(dataset, index), "VOILUTFunction") or "LINEAR"
    if name not in _FUNCTIONS:
        raise ImageError("has a VOILUTFunction that the standard does not know", _CHOOSE)
    return linear_function(width, step) if name == "LINEAR" else _FUNCTIONS[name]


def colour_shares(pixels: NDArray[Any], window: Window) -> NDArray[np.float64]:
    """Return (H, W, 3) in 0 to 1 of colour of more than 8 bits, all channels by one window.

    DICOM has no window for colour: `file` shows all levels, from the least to the greatest of the three channels.
    """
    grey = pixels[..., 0] if (pixels == pixels[..., :1]).all() else pixels
    if window.kind == "preset":
        raise ImageError(
            f"is in colour, and the window {window} is meant for Hounsfield units",
            "use the window file, percentiles, or CENTRE/WIDTH",
        )
    if window.kind == "fixed":
        return windowed(pixels, window.centre, window.width, linear_function(window.width, 1.0))
    if window.kind == "percentiles":
        return between_percentiles(pixels, grey)
    return stretched(pixels, float(pixels.min()), float(pixels.max()))
