"""Framed images of samples in order: kept from an earlier model of the run, or decoded by other processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from medvlm_tui.core.specs import PreprocessSpec, Sample
from medvlm_tui.engine.extract.framed_images import FramesOfStep
from medvlm_tui.engine.images.decoder_pool import DecoderPool
from medvlm_tui.engine.images.decoding_task import Read, Reduced
from medvlm_tui.errors import ImageError

Found = NDArray[Any] | ImageError


class ImageSource:
    """`ask` for samples, `take` them in the same order."""

    def __init__(self, read: Read, spec: PreprocessSpec | None, pool: DecoderPool, kept: FramesOfStep | None) -> None:
        """`spec` is the framing, None for whole images, of which nothing is kept."""
        self._read, self._spec, self._pool = read, spec, pool
        self._kept = None if spec is None else kept
        self._asked: deque[tuple[Sample, NDArray[Any] | None, tuple[PreprocessSpec, ...]]] = deque()

    def ask(self, sample: Sample) -> None:
        """Begin to decode an image, unless it is kept."""
        found = None if self._kept is None else self._kept.find(sample)
        also = self._kept.also(sample) if self._kept is not None and found is None else ()
        if found is None:
            self._pool.submit(sample, self._read, self._spec, also)
        elif self._kept is not None and self._kept.is_hidden(sample):
            self._pool.hidden.add(sample.id)
        self._asked.append((sample, found, also))

    def take(self, check: Callable[[], None]) -> Found:
        """Return the oldest image that was asked for; calls `check` while it waits, which may raise."""
        sample, kept, also = self._asked.popleft()
        if kept is not None:
            return kept
        found = self._pool.take(check)
        assert not isinstance(found, Reduced)  # which `read_sample` never gives
        others = self._pool.framed_too.pop(sample.id, [])
        if self._kept is not None and not isinstance(found, ImageError):
            pairs = list(zip(also, others, strict=True))
            self._kept.keep(sample, found, sample.id in self._pool.hidden, pairs)
        return found
