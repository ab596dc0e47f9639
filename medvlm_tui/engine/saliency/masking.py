"""Scores of masked images: the only costly part of RISE, stored range by range as it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.launched import InFlight, Launched, launch
from medvlm_tui.engine.saliency.masks import MaskStream
from medvlm_tui.engine.saliency.stored_scores import StoredScores
from medvlm_tui.engine.step.device_memory import is_out_of_memory, naming_shortage, release_memory, with_back_off
from medvlm_tui.stages.params.saliency import Fill

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
    """True where a closed mask shows zero, so that masking is one product."""

    def __post_init__(self) -> None:
        self._multiplies = not bool(self.hidden.any())

    def scores(self, chunk: int, count: int, check: Check, images: Sequence[int] | None = None) -> Iterator[Floats]:
        """Yield, image after image in parts, the scores (m, k) of the chunk's first `count` masks."""
        masks = self._masks(chunk, count)
        flight: InFlight[list[Launched]] = InFlight(self.encoder.device)
        for image in range(len(self.pixels)) if images is None else images:
            begin = 0
            while begin < count:
                check()
                batch = range(begin, min(begin + self.batch_size, count))
                encode = partial(self._launch, image, masks)
                parts, self.batch_size = with_back_off(encode, batch, self.batch_size)
                yield from map(self._scored, flight.add(parts))
                begin = batch.stop
        yield from map(self._scored, flight.rest())

    def _scored(self, parts: Sequence[Launched]) -> Floats:
        """Return the scores (m, k) of a batch once its features are there."""
        return self.classifier.scores(torch.cat([part.features() for part in parts]).numpy())

    def _masks(self, chunk: int, count: int) -> torch.Tensor:
        """Return a chunk's masks on the device, or in main memory when they do not fit there."""
        try:
            return self.stream.masks(chunk, count, self.encoder.device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        release_memory()
        with naming_shortage("a block of masks", self.encoder.device):
            return self.stream.masks(chunk, count, self.encoder.device, keep_on="cpu")

    def _launch(self, image: int, masks: torch.Tensor, part: Sequence[int]) -> Launched:
        """Begin to encode one image under consecutive masks, made in a buffer that is kept.

        The next batch may overwrite it: a GPU does one after the other.
        """
        shape = (len(part), *self.pixels.shape[1:])
        if self._buffer.shape[1:] != shape[1:] or len(self._buffer) < len(part):
            self._buffer = torch.empty(shape, device=self.pixels.device)
        batch, chosen = self._buffer[: len(part)], masks[part[0] : part[-1] + 1, None].to(self.pixels.device)
        if self._multiplies:
            torch.mul(self.pixels[image], chosen, out=batch)
        else:
            hidden = self.hidden[image]
            torch.addcmul(hidden.expand(shape), (self.pixels[image] - hidden).expand(shape), chosen, out=batch)
        return launch(self.encoder, batch)


def hidden_pixels(fill: Fill, encoder: Encoder, pixels: torch.Tensor) -> torch.Tensor:
    """Return what hides each image (q, 3, H, W): zeros (the mean), black, or the image itself, blurred."""
    if fill == "black":
        side = (pixels.shape[-1], pixels.shape[-2])
        black = encoder.preprocess(Image.new("RGB", side)).to(pixels.device)
        return black.expand_as(pixels)
    if fill == "blur":
        parts, _ = with_back_off(lambda some: _blurred(cast("torch.Tensor", some)), _rows(pixels), len(pixels))
        return parts[0] if len(parts) == 1 else torch.cat(parts)
    return torch.zeros_like(pixels)


def _rows(pixels: torch.Tensor) -> Sequence[torch.Tensor]:
    """Return a batch as the sequence of its images, which it is; slices are batches again."""
    return cast("Sequence[torch.Tensor]", pixels)


def _blurred(pixels: torch.Tensor) -> torch.Tensor:
    """Return images (q, 3, H, W) under a Gaussian blur of 5 % of their width."""
    sigma = _BLUR_SHARE * pixels.shape[-1]
    reach = torch.arange(-int(3 * sigma), int(3 * sigma) + 1, dtype=torch.float32, device=pixels.device)
    kernel = torch.exp(-0.5 * (reach / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(pixels.shape[1], 1)
    wide = torch.nn.functional.pad(pixels, (len(reach) // 2,) * 4, mode="replicate")
    down = torch.nn.functional.conv2d(wide, kernel[:, None, :, None], groups=pixels.shape[1])
    return torch.nn.functional.conv2d(down, kernel[:, None, None, :], groups=pixels.shape[1])


@dataclass(frozen=True, slots=True)
class ChunkScores:
    """A range of masks on its way."""

    scores: Floats
    """(q, m, k), filled as it goes."""
    known: tuple[int, ...]
    """For each image how many of its m masks are scored."""
    fresh: int
    """Masked images that were not stored before."""


def score_chunk(
    masking: Masking, chunk: int, shape: tuple[int, int, int], stored: StoredScores, check: Check
) -> Iterator[ChunkScores]:
    """Yield how far the range is; each image's part is stored as soon as it is whole, the last item has them all."""
    q, count, k = shape
    scores, known = np.zeros(shape), [0] * q
    for image in range(q):
        part = stored.get(image, chunk, (count, k))
        if part is not None:
            scores[image], known[image] = part, count
    missing = [image for image in range(q) if not known[image]]
    fresh, said = 0, time.monotonic()
    for part in masking.scores(chunk, count, check, missing) if missing else ():
        image, begin = missing[fresh // count], fresh % count
        scores[image, begin : begin + len(part)] = part
        fresh, known[image] = fresh + len(part), begin + len(part)
        if known[image] == count:
            stored.put(image, chunk, scores[image])
        if time.monotonic() - said >= PROGRESS_S:
            said = time.monotonic()
            yield ChunkScores(scores, tuple(known), fresh)
    yield ChunkScores(scores, tuple(known), fresh)
