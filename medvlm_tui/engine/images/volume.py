"""CT volumes brought to the grid of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.specs import VolumeSpec
from medvlm_tui.engine.images.volume_file import Volume, nibabel_module

_SPACING_DIGITS = 5


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
    orientations = nibabel_module().orientations
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
