"""Scores of masked images: the only costly part of RISE, stored range by range as it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core import packing
from medvlm_tui.core.digests import of_record
from medvlm_tui.core.params import Fill
from medvlm_tui.core.store import Store
from medvlm_tui.engine import devices
from medvlm_tui.engine.encoders.base import Encoder
from medvlm_tui.engine.masks import CHUNK, MaskStream
from medvlm_tui.errors import CorruptEntryError

Floats = NDArray[np.float64]
_BLUR_SHARE = 0.05  # of the image's side: standard deviation of the blur
# Parts of a batch that are worth a look for cancel and progress.
PROGRESS_S = 0.1


class Check(Protocol):
    """Raises Cancelled when the user asked to stop."""

    def __call__(self) -> None: ...


class Scorer(Protocol):
    """A classifier, or several as one."""

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """Return the decision values (n, k) of (n, d) features."""


@dataclass(slots=True)
class Masking:
    """Images and what hides them, on the encoder's device; the batch shrinks when the device runs out of memory."""

    encoder: Encoder
    classifier: Scorer
    stream: MaskStream
    pixels: torch.Tensor
    """(q, 3, H, W)"""
    hidden: torch.Tensor
    """(q, 3, H, W) what a closed mask shows."""
    batch_size: int
    _buffer: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    _multiplies: bool = field(init=False, default=False)
    """What a closed mask shows is zero, so that masking is one product."""

    def __post_init__(self) -> None:
        self._multiplies = not bool(self.hidden.any())

    def scores(self, chunk: int, count: int, check: Check) -> Iterator[Floats]:
        """Yield, image after image in parts, the scores (m, k) of the chunk's first `count` masks."""
        masks = self.stream.masks(chunk, count, self.encoder.device)
        for image in range(len(self.pixels)):
            begin = 0
            while begin < count:
                check()
                batch = range(begin, min(begin + self.batch_size, count))
                encode = partial(self._encode, image, masks)
                parts, self.batch_size = devices.with_back_off(encode, batch, self.batch_size)
                yield self.classifier.scores(torch.cat(parts).numpy())
                begin = batch.stop

    def _encode(self, image: int, masks: torch.Tensor, part: Sequence[int]) -> torch.Tensor:
        """Return the features (m, d) of one image under consecutive masks, made in a buffer that is kept."""
        shape = (len(part), *self.pixels.shape[1:])
        if self._buffer.shape[1:] != shape[1:] or len(self._buffer) < len(part):
            self._buffer = torch.empty(shape, device=self.pixels.device)
        batch, chosen = self._buffer[: len(part)], masks[part[0] : part[-1] + 1, None]
        if self._multiplies:
            torch.mul(self.pixels[image], chosen, out=batch)
        else:
            hidden = self.hidden[image]
            torch.addcmul(hidden.expand(shape), (self.pixels[image] - hidden).expand(shape), chosen, out=batch)
        return self.encoder.encode(batch)


def hidden_pixels(fill: Fill, encoder: Encoder, pixels: torch.Tensor) -> torch.Tensor:
    """Return what hides each image (q, 3, H, W): zeros (the mean), black, or the image itself, blurred."""
    if fill == "black":
        side = (pixels.shape[-1], pixels.shape[-2])
        black = encoder.preprocess(Image.new("RGB", side)).to(pixels.device)
        return black.expand_as(pixels)
    if fill == "blur":
        sigma = _BLUR_SHARE * pixels.shape[-1]
        reach = torch.arange(-int(3 * sigma), int(3 * sigma) + 1, dtype=torch.float32, device=pixels.device)
        kernel = torch.exp(-0.5 * (reach / sigma) ** 2)
        kernel = (kernel / kernel.sum()).repeat(pixels.shape[1], 1)
        wide = torch.nn.functional.pad(pixels, (len(reach) // 2,) * 4, mode="replicate")
        down = torch.nn.functional.conv2d(wide, kernel[:, None, :, None], groups=pixels.shape[1])
        return torch.nn.functional.conv2d(down, kernel[:, None, None, :], groups=pixels.shape[1])
    return torch.zeros_like(pixels)


@dataclass(frozen=True, slots=True)
class StoredScores:
    """The scores of a job's masks in the store, one entry a chunk, each saying which masks it covers.

    Entries are named by what the scores depend on, so that a killed run, another number of masks and a second
    worker all find them.
    """

    store: Store
    name: str

    @classmethod
    def of(cls, store: Store, *depends: object) -> StoredScores:
        """Name the entries by everything the scores depend on (JSON-able)."""
        return cls(store, f"rise/{of_record(list(depends))}/")

    def put(self, chunk: int, scores: Floats) -> None:
        """Store (q, m, k) scores of a chunk's first m masks."""
        first = chunk * CHUNK
        key = self._key(chunk, scores.shape[1])
        self.store.put(key, packing.pack({"scores": scores}, {"masks": [first, first + scores.shape[1]]}))

    def get(self, chunk: int, shape: tuple[int, int, int]) -> Floats | None:
        """Return the scores of a chunk's first masks, None when they are missing or damaged."""
        for count in dict.fromkeys((shape[1], CHUNK)):
            try:
                data = self.store.get(self._key(chunk, count))
                scores = None if data is None else packing.unpack(data)[0]["scores"]
            except CorruptEntryError:
                scores = np.empty((0, 0, 0))
            if scores is None:
                continue
            if scores.shape == (shape[0], count, shape[2]):
                return np.asarray(scores[:, : shape[1]])
            self.store.discard(self._key(chunk, count))
        return None

    def discard(self) -> None:
        """Forget every entry: the result holds the scores now."""
        for key in self.store.keys(self.name):
            self.store.discard(key)

    def _key(self, chunk: int, count: int) -> str:
        return f"{self.name}{chunk * CHUNK:08d}-{chunk * CHUNK + count:08d}"


def score_chunk(
    masking: Masking, chunk: int, shape: tuple[int, int, int], stored: StoredScores, check: Check
) -> Iterator[tuple[int, Floats]]:
    """Yield (masked images done, scores of shape (q, m, k), filled as it goes); stores the chunk at its end."""
    q, count, k = shape
    scores, done, said = np.zeros((q * count, k)), 0, time.monotonic()
    for part in masking.scores(chunk, count, check):
        scores[done : done + len(part)] = part
        done += len(part)
        if time.monotonic() - said >= PROGRESS_S:
            said = time.monotonic()
            yield done, scores.reshape(q, count, k)
    stored.put(chunk, scores.reshape(q, count, k))
    yield done, scores.reshape(q, count, k)
