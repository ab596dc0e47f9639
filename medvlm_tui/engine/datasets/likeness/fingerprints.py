"""Fingerprint that an audit keeps of each image: a digest of its pixels, a perceptual hash and a thumbnail."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.digests import of_record
from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.store.store import Store, StoredResult
from medvlm_tui.engine.datasets.likeness.image_prints import THUMBNAIL_PX, read_print
from medvlm_tui.engine.images.decoder_pool import Decoded
from medvlm_tui.engine.images.decoders import decoded
from medvlm_tui.engine.images.decoding_task import Reduced
from medvlm_tui.errors import ImageError

HASH_SIDE = 16
HASH_BITS = HASH_SIDE * HASH_SIDE
VERSION = 2
"""Raised when thumbnails or digests change: stored ones are then made anew."""
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of one image."""

    pixels: str
    """Digest of the decoded RGB pixels: equal for copies in other lossless formats."""
    thumbnail: NDArray[np.uint8]
    """(THUMBNAIL_PX, THUMBNAIL_PX) grey, squashed to a square."""
    bits: NDArray[np.bool_]
    """(HASH_BITS,): signs of the low DCT coefficients of the thumbnail against their median."""
    level: str = ""
    """Of an image in one grey level: FLAT, or HIDDEN where the window leaves nothing of what it holds."""


Found = Fingerprint | ImageError
"""An image's fingerprint, or why it cannot be read."""


def fingerprints(
    samples: Sequence[Sample], workers: int, window: str = FILE, store: Store | None = None
) -> Generator[int, None, list[Found]]:
    """Yield how many images are done, block by block; return what was found of each sample.

    Images are read in `workers` decoding processes. A fingerprint survives re-encoding and scaling, not flips or crops.
    With a store, blocks that were read before are looked up and new ones are kept: part by part, so that an audit
    of all parts and a split of one share them.
    """
    found: dict[int, Found] = {}
    for rows in _blocks(samples):
        block = [samples[row] for row in rows]
        known = [] if store is None else _stored(block, window, store)
        if not known:
            known = [_found(answer) for answer in decoded(block, partial(read_print, window=window), workers)]
            if store is not None and not store.read_only:
                _keep(block, window, known, store)
        found.update(zip(rows, known, strict=True))
        yield len(found)
    return [found[row] for row in range(len(samples))]


def _blocks(samples: Sequence[Sample]) -> list[list[int]]:
    """Return the rows of the samples in blocks of one part each."""
    parts: dict[str, list[int]] = {}
    for row, sample in enumerate(samples):
        parts.setdefault(sample.part, []).append(row)
    return [rows[start : start + _BLOCK] for rows in parts.values() for start in range(0, len(rows), _BLOCK)]


def _found(answer: Decoded) -> Found:
    if isinstance(answer, ImageError):
        return answer
    assert isinstance(answer, Reduced)
    return _of_thumbnail(answer.texts["pixels"], answer.pixels, answer.texts["level"])


def _key(block: Sequence[Sample], window: str) -> str:
    # The ids too: reasons name files.
    return of_record(["fingerprints", VERSION, window, [[sample.id, sample.digest] for sample in block]])


def _keep(block: Sequence[Sample], window: str, found: Sequence[Found], store: Store) -> None:
    readable = [f for f in found if isinstance(f, Fingerprint)]
    thumbnails = np.array([f.thumbnail for f in readable], np.uint8).reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)
    record = {
        "pixels": [f.pixels if isinstance(f, Fingerprint) else "" for f in found],
        "levels": [f.level if isinstance(f, Fingerprint) else "" for f in found],
        "refused": {str(i): [f.message, f.hint] for i, f in enumerate(found) if isinstance(f, ImageError)},
    }
    store.put_result(_key(block, window), {"thumbnails": thumbnails}, record)


def _stored(block: Sequence[Sample], window: str, store: Store) -> list[Found]:
    """Return what the store has of a block, nothing when it has not all."""
    result = store.result(_key(block, window))
    return [] if result is None else _unpacked(result)


def _unpacked(result: StoredResult) -> list[Found]:
    thumbnails = iter(result.arrays["thumbnails"])
    refused = result.record["refused"]
    return [
        ImageError(*refused[str(i)]) if str(i) in refused else _of_thumbnail(pixels, next(thumbnails), level)
        for i, (pixels, level) in enumerate(zip(result.record["pixels"], result.record["levels"], strict=True))
    ]


def _of_thumbnail(pixels: str, thumbnail: NDArray[np.uint8], level: str) -> Fingerprint:
    basis = _cosines()
    low = basis @ thumbnail.astype(np.float64) @ basis.T
    # The mean brightness is left out: it says nothing about what is shown.
    return Fingerprint(pixels, thumbnail, (low > np.median(low.ravel()[1:])).ravel(), level)


@cache
def _cosines() -> NDArray[np.float64]:
    """The first HASH_SIDE rows of the orthonormal DCT-II of THUMBNAIL_PX points."""
    k, x = np.arange(HASH_SIDE)[:, None], np.arange(THUMBNAIL_PX)[None, :]
    basis = np.cos(np.pi * (2 * x + 1) * k / (2 * THUMBNAIL_PX)) * np.sqrt(2 / THUMBNAIL_PX)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)
