"""What an audit remembers of each image: a digest of its pixels, a perceptual hash and a thumbnail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.digests import of_array
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.datasets.pixels import read_sample
from medvlm_tui.errors import ImageError

THUMBNAIL_PX = 32
HASH_SIDE = 16
HASH_BITS = HASH_SIDE * HASH_SIDE
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of one image."""

    pixels: str
    """Digest of the decoded RGB pixels: equal for copies in other lossless formats."""
    bits: NDArray[np.bool_]
    """(HASH_BITS,): signs of the low DCT coefficients of the thumbnail against their median."""
    thumbnail: NDArray[np.uint8]
    """(THUMBNAIL_PX, THUMBNAIL_PX) grey, squashed to a square."""


def fingerprint(image: Image.Image) -> Fingerprint:
    """Return the fingerprint of an RGB image; it survives re-encoding and scaling, not flips or crops."""
    small = image.convert("L").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    thumbnail = np.asarray(small, dtype=np.uint8)
    basis = _cosines()
    low = basis @ thumbnail.astype(np.float64) @ basis.T
    # The mean brightness is left out: it says nothing about what is shown.
    return Fingerprint(of_array(np.asarray(image)), (low > np.median(low.ravel()[1:])).ravel(), thumbnail)


def fingerprints(
    samples: Sequence[Sample], workers: int, progress: Callable[[int], None]
) -> list[Fingerprint | ImageError]:
    """Return each sample's fingerprint, or why it cannot be read; `progress` is told how many are done.

    `progress` may raise to stop the work.
    """
    found: list[Fingerprint | ImageError] = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for start in range(0, len(samples), _CHUNK):
            found += pool.map(_of_sample, samples[start : start + _CHUNK])
            progress(len(found))
    return found


def _of_sample(sample: Sample) -> Fingerprint | ImageError:
    try:
        return fingerprint(read_sample(sample))
    except ImageError as error:
        return error


@cache
def _cosines() -> NDArray[np.float64]:
    """The first HASH_SIDE rows of the orthonormal DCT-II of THUMBNAIL_PX points."""
    k, x = np.arange(HASH_SIDE)[:, None], np.arange(THUMBNAIL_PX)[None, :]
    basis = np.cos(np.pi * (2 * x + 1) * k / (2 * THUMBNAIL_PX)) * np.sqrt(2 / THUMBNAIL_PX)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)
