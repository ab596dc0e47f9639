"""Maps while masks come in: stored now and then under one key, for a screen to read and show growing."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import PreviewReady
from medvlm_tui.core.store import keys
from medvlm_tui.engine.saliency.explained_images import Explained, estimated
from medvlm_tui.engine.saliency.masking import ChunkScores
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.records.saliency import PreviewImage, PreviewRecord

_EVERY_S = 1.0
# A preview costs the sums of all masks so far; it may take this share of the time.
_SHARE = 0.05


class Preview:
    """The maps so far of one step, under one key; each replaces the one before."""

    def __init__(self, job: CellJob, context: StepContext, images: Explained, params: SaliencyParams) -> None:
        self._job, self._context, self._images, self._params = job, context, images, params
        self._key = keys.preview_of(job.step.key)
        encoder = images.masking.encoder
        self._shown = np.stack([encoder.display(pixels) for pixels in images.masking.pixels])
        self._next = time.monotonic() + _EVERY_S

    def due(self) -> bool:
        """Return whether enough time has gone by for another."""
        return time.monotonic() >= self._next

    def store(self, whole: NDArray[np.float64], part: ChunkScores, done: int) -> PreviewReady:
        """Store the maps from the scores (q, N, k) of whole ranges and those of the range on its way."""
        begun = time.monotonic()
        q, before, _ = whole.shape
        counts = [before + known for known in part.known]
        maps = np.zeros((q, *self._shown.shape[1:3]), dtype=np.float32)
        errors = np.zeros_like(maps)
        for image in np.flatnonzero(counts):
            scores = np.concatenate([whole[image], part.scores[image, : part.known[image]]])
            found = estimated(self._images, self._params, scores, int(image))
            maps[image], errors[image] = found.maps[0], found.errors[0]
        self.discard()
        arrays: dict[str, NDArray[Any]] = {"images": self._shown, "maps": maps, "errors": errors}
        self._context.store.put_result(self._key, arrays, self._record(counts))
        now = time.monotonic()
        self._next = now + max(_EVERY_S, (now - begun) / _SHARE)
        return PreviewReady(self._job.step.id, "saliency", self._key, done)

    def discard(self) -> None:
        """Forget the preview, if there is one."""
        self._context.store.discard(keys.result(self._key))

    def _record(self, counts: list[int]) -> PreviewRecord:
        images = self._images
        items = tuple(
            PreviewImage(
                image=sample.id,
                label=images.classes[label],
                predicted=images.classes[int(predicted)],
                explained=images.names[explained[0]],
                masks=masks,
            )
            for sample, label, predicted, explained, masks in zip(
                images.samples, images.labels, images.predicted, images.maps_of, counts, strict=True
            )
        )
        return PreviewRecord(items=items, masks_asked=self._params.masks, classes=tuple(images.classes))
