"""Meaning of the numbers of a grey DICOM image: the modality LUT or rescale, Hounsfield units, padding, depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from medvlm_tui.engine.images.dicom.palettes import apply_modality_table, is_big_endian
from medvlm_tui.engine.images.dicom.tags import code, count, frame_group, number
from medvlm_tui.errors import ImageError


@dataclass(frozen=True, slots=True)
class Measured:
    """The values of one grey frame."""

    values: NDArray[Any]
    """(H, W) after the modality LUT or rescale."""
    counted: NDArray[Any]
    """The values without padding, in one row; all of them where all are padding."""
    step: float
    """Between two neighbouring values that the file can hold; 0 for floating-point pixels."""
    hounsfield: bool
    captured: bool
    """True where the file holds grey levels for a screen, of 8 bits or fewer, and nothing that was measured."""
    range: tuple[float, float]
    """Least and greatest value that `captured` pixels can have."""


def measured(dataset: pydicom.Dataset, pixels: NDArray[Any], index: int) -> Measured:
    """Return what stored pixels (H, W) of frame `index` mean; raises ImageError for values that are no numbers."""
    group = frame_group(dataset, index, "PixelValueTransformationSequence")
    source = dataset if group is None else group
    values, step, rescaled = _rescaled(dataset, source, pixels)
    if not np.isfinite(values).all():
        raise ImageError("holds values that are no numbers", "get the file again, or convert it to PNG yourself")
    bits = count(dataset, "BitsStored") or 64
    signed = pixels.dtype.kind == "i"
    low = -(2.0 ** (bits - 1)) if signed else 0.0
    changed = values is not pixels and not np.array_equal(values, pixels)
    captured = bits <= 8 and pixels.dtype.kind in "iu" and not changed
    kept = values[~_padding(dataset, pixels)]
    return Measured(
        values=values,
        counted=kept if kept.size else values.ravel(),
        step=step,
        hounsfield=_is_hounsfield(dataset, source, rescaled) and not captured,
        captured=captured,
        range=(low, low + 2.0**bits - 1),
    )


def _rescaled(
    dataset: pydicom.Dataset, source: pydicom.Dataset, pixels: NDArray[Any]
) -> tuple[NDArray[Any], float, bool]:
    """Return values, their step, and whether the file says how values follow from pixels."""
    if source.get("ModalityLUTSequence"):
        item = source.ModalityLUTSequence[0]
        return apply_modality_table(item, pixels, is_big_endian(dataset)), 1.0, True
    slope, intercept = number(source, "RescaleSlope"), number(source, "RescaleIntercept")
    whole = 0.0 if pixels.dtype.kind == "f" else 1.0
    if slope is None and intercept is None:
        return pixels, whole, False
    if slope == 0:
        raise ImageError("has a RescaleSlope of 0, which leaves nothing of the image", "use another file")
    factor = 1.0 if slope is None else slope
    return pixels.astype(np.float64) * factor + (intercept or 0.0), abs(factor) * whole, True


def _is_hounsfield(dataset: pydicom.Dataset, source: pydicom.Dataset, rescaled: bool) -> bool:
    """Return whether values are Hounsfield units: rescaled to HU as the file states, or a CT's of no stated unit."""
    item = source.ModalityLUTSequence[0] if source.get("ModalityLUTSequence") else source
    unit = code(item, "RescaleType") or code(item, "ModalityLUTType")
    return rescaled and (unit == "HU" or (not unit and code(dataset, "Modality") == "CT"))


def _padding(dataset: pydicom.Dataset, pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return (H, W), True where the file says that there is no image."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(pixels.shape, dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((value, limit)) if isinstance(limit, int) else (value, value)
    return (pixels >= low) & (pixels <= high)
