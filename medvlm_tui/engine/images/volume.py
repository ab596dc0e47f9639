"""CT volumes: NIfTI files read in Hounsfield units, and brought to the grid of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import VolumeSpec
from medvlm_tui.errors import ImageError, UsageError

SUFFIXES = (".nii", ".nii.gz")
# 2,000 slices of 512 x 512, more than any scan of the data sets that these encoders were made for.
MAX_VOXELS = 524_288_000
_SPACING_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Volume:
    """A scan."""

    voxels: NDArray[np.float32]
    """(I, J, K) in Hounsfield units."""
    affine: NDArray[np.float64]
    """(4, 4): from voxel indices to millimetres right, anterior and superior."""


def is_volume(path: Path) -> bool:
    """Say by its name whether a file holds a volume."""
    return path.name.lower().endswith(SUFFIXES)


def read_volume(path: Path) -> Volume:
    """Return the scan in a NIfTI file, with the file's own slope and intercept applied.

    Raises ImageError for everything that is not one three-dimensional scan, UsageError when nibabel is not here.
    """
    nibabel = _nibabel()
    if not is_volume(path):
        raise ImageError(f"{clean(path.name)} is no volume", f"readable: {', '.join(SUFFIXES)}")
    try:
        image = nibabel.load(path, mmap=False)
        shape = image.shape[:3] if set(image.shape[3:]) <= {1} else image.shape
        _refuse_shape(shape, path)
        voxels = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
        affine = np.array(image.affine, dtype=np.float64)
    except ImageError:
        raise
    except Exception as error:  # a reader raises almost anything on hostile bytes
        reason = clean(str(error)) or type(error).__name__
        raise ImageError(f"{clean(path.name)} cannot be read: {reason}", "get the file again") from error
    if not np.isfinite(voxels).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ImageError(f"{clean(path.name)} has values or a geometry that are not finite", "convert the scan again")
    return Volume(voxels, affine)


def _refuse_shape(shape: tuple[int, ...], path: Path) -> None:
    if len(shape) != 3 or min(shape) < 2:
        sides = " x ".join(map(str, shape))
        raise ImageError(f"{clean(path.name)} holds {sides} values, not one volume", "save one scan to a file")
    if math.prod(shape) > MAX_VOXELS:
        raise ImageError(f"{clean(path.name)} declares more than {MAX_VOXELS:,} voxels", "crop the scan first")


def prepare(volume: Volume, spec: VolumeSpec) -> torch.Tensor:
    """Return the model's input (1, *spec.size) float32: turned, resampled, windowed, cropped and padded.

    Axes are resampled one after the other, which linear interpolation allows, and only where the crop lies; in
    double precision, because CT-CLIP's quantiser turns a last digit into another code.
    """
    voxels: NDArray[Any]
    voxels, spacing = _turned(volume, spec.axes)
    low, high = spec.window_hu
    if spec.clip == "before":
        voxels = np.clip(voxels, low, high)
    for axis in range(3):
        places = _places(voxels.shape[axis], spacing[axis], spec.spacing_mm[axis], spec.size[axis], spec.grid)
        voxels = _interpolated(voxels, places, axis)
    begin, end = spec.window_to
    scaled = np.clip((voxels - low) / (high - low), 0.0, 1.0) * (end - begin) + begin
    return torch.from_numpy(_padded(scaled.astype(np.float32), spec))[None]


def _turned(volume: Volume, axes: str) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Return the voxels with their axes along `axes`, and the voxels' sides in millimetres along them."""
    orientations = _nibabel().orientations
    current = orientations.io_orientation(volume.affine)
    turn = orientations.ornt_transform(current, orientations.axcodes2ornt(axes))
    # NIfTI keeps the affine in single precision: 2.6 mm come back as 2.5999999, and a count of voxels is cut to an int.
    sides = np.linalg.norm(volume.affine[:3, :3], axis=0).round(_SPACING_DIGITS)
    spacing = [0.0, 0.0, 0.0]
    for axis, (target, _) in enumerate(turn):
        spacing[int(target)] = float(sides[axis])
    return np.ascontiguousarray(orientations.apply_orientation(volume.voxels, turn)), tuple(spacing)


def _places(count: int, spacing: float, wanted: float, size: int, grid: str) -> NDArray[np.float64]:
    """Return where along an axis of `count` voxels the resampled ones lie that survive the crop to `size`."""
    if grid == "first_centre":
        resampled = round((count - 1) * spacing / wanted + 1)
        step, offset = wanted / spacing, 0.0
    else:
        resampled = max(1, int(count * (spacing / wanted)))
        step = count / resampled
        offset = (step - 1) / 2
    first = max((resampled - size) // 2, 0)
    places = np.arange(first, min(first + size, resampled)) * step + offset
    return np.clip(places, 0, count - 1)


def _interpolated(voxels: NDArray[Any], places: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    lower = np.floor(places).astype(np.int64)
    upper = np.minimum(lower + 1, voxels.shape[axis] - 1)
    share = (places - lower).reshape([-1 if a == axis else 1 for a in range(3)])
    below = np.take(voxels, lower, axis)
    mixed: NDArray[np.float64] = below + (np.take(voxels, upper, axis) - below) * share
    return mixed


def _padded(voxels: NDArray[np.float32], spec: VolumeSpec) -> NDArray[np.float32]:
    canvas = np.full(spec.size, spec.pad, dtype=np.float32)
    begins = [(side - found) // 2 for side, found in zip(spec.size, voxels.shape, strict=True)]
    canvas[tuple(slice(b, b + n) for b, n in zip(begins, voxels.shape, strict=True))] = voxels
    return canvas


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise UsageError("volumes need nibabel, which is not installed", "pip install 'medvlm-tui[volume]'") from error
    return nibabel
