"""Scores of masked images in the store: what a killed run goes on from, and what a step for more masks starts with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.store import keys, packing
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.saliency.masks import CHUNK
from medvlm_tui.errors import CorruptEntryError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StoredScores:
    """The scores of masked images in the store, one entry an image and range, each saying which masks it covers.

    Entries are named by what the scores depend on, so that a killed run, another number of masks, another choice of
    images and a second worker all find them. A result holds the scores of its own masks: a note under the same name
    says which, and a step that asks for more masks computes only those that are added.
    """

    store: Store
    step: str
    """Key of the step that stores them: once it has a result, nothing needs its entries (`store prune`)."""
    names: tuple[str, ...]
    """One per image."""
    _results: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Scores (q, N, k) of results that were read, by the step's key."""

    @classmethod
    def of(cls, store: Store, step: str, images: Sequence[object], *depends: object) -> StoredScores:
        """Name the entries by the image and everything else that the scores depend on (JSON-able)."""
        return cls(store, step, tuple(keys.mask_scores([image, *depends]) for image in images))

    def put(self, image: int, chunk: int, scores: Floats) -> None:
        """Store (m, k) scores of an image under a chunk's first m masks."""
        first = chunk * CHUNK
        record = {"masks": [first, first + len(scores)], "step": self.step}
        self.store.put(self._key(image, chunk, len(scores)), packing.pack({"scores": scores}, record))

    def get(self, image: int, chunk: int, shape: tuple[int, int]) -> Floats | None:
        """Return the scores of an image under a chunk's first masks, None when they are missing or damaged."""
        for count in dict.fromkeys((shape[0], CHUNK)):
            key = self._key(image, chunk, count)
            try:
                data = self.store.get(key)
                scores = None if data is None else packing.unpack(data)[0]["scores"]
            except CorruptEntryError:
                scores = np.empty((0, 0))
            if scores is None:
                continue
            if scores.shape == (count, shape[1]):
                return np.asarray(scores[: shape[0]])
            self.store.discard(key)
        return self._of_result(image, chunk * CHUNK, shape)

    def leave_to_result(self, masks: int) -> None:
        """Forget every entry and note that the step's result holds the scores of `masks` masks now, unless another
        result holds more."""
        for row, name in enumerate(self.names):
            noted = self._noted(name)
            for key in self.store.keys(name):
                if noted is None or key != keys.mask_scores_result(name) or int(noted["masks"]) < masks:
                    self.store.discard(key)
            record = {"result": self.step, "row": row, "masks": masks}
            self.store.put(keys.mask_scores_result(name), packing.pack({}, record))

    def _of_result(self, image: int, first: int, shape: tuple[int, int]) -> Floats | None:
        """Return the scores of an image from mask `first` on as an earlier result holds them, None where none does."""
        noted = self._noted(self.names[image])
        if noted is None or int(noted["masks"]) < first + shape[0]:
            return None
        key = str(noted["result"])
        if key not in self._results:
            found = self.store.result(key)
            self._results[key] = np.empty((0, 0, 0)) if found is None else np.asarray(found.arrays["scores"])
        rows = self._results[key]
        part = rows[int(noted["row"]), first : first + shape[0]] if int(noted["row"]) < len(rows) else rows
        return np.array(part, dtype=np.float64) if part.shape == shape else None

    def _noted(self, name: str) -> Mapping[str, Any] | None:
        """Return which result of the store holds the scores below a name; None where the note or the result is gone."""
        try:
            data = self.store.get(keys.mask_scores_result(name))
            noted = None if data is None else packing.record_of(data)
        except CorruptEntryError:
            return None
        return noted if noted is not None and self.store.has_result(str(noted["result"])) else None

    def _key(self, image: int, chunk: int, count: int) -> str:
        return keys.mask_range(self.names[image], chunk * CHUNK, chunk * CHUNK + count)
