"""CT volumes in NIfTI files, read in Hounsfield units. Loads no torch: decoding processes do this."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.decoding_task import Reduced
from medvlm_tui.errors import ImageError, UsageError

SUFFIXES = (".nii", ".nii.gz")
# 2,000 slices of 512 x 512, more than any scan of the data sets that these encoders were made for.
MAX_VOXELS = 524_288_000


@dataclass(frozen=True, slots=True)
class Volume:
    """A scan."""

    voxels: NDArray[np.float32]
    """(I, J, K) in Hounsfield units."""
    affine: NDArray[np.float64]
    """(4, 4): from voxel indices to millimetres right, anterior and superior."""


def is_volume(path: Path) -> bool:
    """Return whether a file holds a volume, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def read_volume(path: Path) -> Volume:
    """Return the scan in a NIfTI file, with the file's own slope and intercept applied.

    Raises ImageError for everything that is not one three-dimensional scan, UsageError when nibabel is not here.
    """
    nibabel = nibabel_module()
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


def read_volume_bytes(sample: Sample) -> Reduced:
    """Return a volume as it leaves a decoding process: its voxels' bytes, shape and affine."""
    volume = read_volume(sample.path)
    voxels = np.ascontiguousarray(volume.voxels)
    texts = {"shape": json.dumps(voxels.shape), "affine": json.dumps(volume.affine.tolist())}
    return Reduced(voxels.reshape(-1).view(np.uint8), texts)


def volume_of(found: Reduced) -> Volume:
    """Return the volume that `read_volume_bytes` gave."""
    shape = tuple(int(side) for side in json.loads(found.texts["shape"]))
    return Volume(found.pixels.view(np.float32).reshape(shape), np.array(json.loads(found.texts["affine"]), np.float64))


def nibabel_module() -> Any:
    """Return nibabel; raises UsageError where it is not installed."""
    try:
        import nibabel
    except ImportError as error:
        raise UsageError("volumes need nibabel, which is not installed", "pip install 'medvlm-tui[volume]'") from error
    return nibabel
