"""Framed images kept from model to model: an image that several models of a run read is decoded once.

A process keeps what it decoded itself, within a share of the main memory. Which framings are worth keeping, the plan
says: those that later extractions of the run read (`FramesWanted`). One that none of them reads is given up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.specs import PreprocessSpec, Sample
from medvlm_tui.engine.step.frames_wanted import FramesWanted, framing_of
from medvlm_tui.engine.step.main_memory import free_bytes

Pixels = NDArray[np.uint8]
_SHARE = 0.25
"""Of the main memory that is free when a process keeps its first image; the processes of several GPUs divide it."""
_MOST_BYTES = 32 << 30


@dataclass(slots=True)
class _Group:
    """The images of one dataset in one framing, by digest."""

    pixels: dict[str, Pixels] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """Digests of images of which their window left one grey level."""


_Key = tuple[str, str, PreprocessSpec]
"""Dataset, window, framing."""


class FramedImages:
    """The framed images that a worker keeps."""

    def __init__(self, budget: int | None = None) -> None:
        """`budget` in bytes; without one, a share of the memory that is free when the first step asks."""
        self._budget = budget
        self.held = 0
        """Bytes."""
        self._groups: dict[_Key, _Group] = {}

    @contextmanager
    def for_step(
        self, dataset: str, window: str, own: PreprocessSpec, wanted: Sequence[FramesWanted], processes: int = 1
    ) -> Iterator[FramesOfStep]:
        """Lend the images of a dataset in a framing, and the place for those that later steps want.

        What neither this step nor a later one of its run reads is given up before and after it.
        """
        if self._budget is None:
            self._budget = min(int(_SHARE * free_bytes()), _MOST_BYTES) // processes
        later = {(each.dataset, window, each.framing): each.models for each in wanted}
        this = (dataset, window, framing_of(own))
        self._give_up_all_but({*later, this})
        here = {key[2]: models for key, models in later.items() if key[0] == dataset}
        # What most models read for the least memory comes first: memory may not do for all.
        ordered = sorted(here, key=lambda framing: (-here[framing] / framing.size_px**2, framing.digest))
        others = {framing: self._group((dataset, window, framing)) for framing in ordered if framing != this[2]}
        try:
            yield FramesOfStep(self, self._group(this), others, keeps_own=this in later)
        finally:
            self._give_up_all_but(later)

    def room(self) -> int:
        """Return the bytes that may still be kept."""
        return max(0, (self._budget or 0) - self.held)

    def close(self) -> None:
        """Release every image."""
        self._give_up_all_but(())

    def _group(self, key: _Key) -> _Group:
        return self._groups.setdefault(key, _Group())

    def _give_up_all_but(self, keys: Collection[_Key]) -> None:
        for key in [key for key in self._groups if key not in keys]:
            self.held -= sum(each.nbytes for each in self._groups.pop(key).pixels.values())


class FramesOfStep:
    """The images that one extraction finds, and those that it leaves."""

    def __init__(
        self, images: FramedImages, own: _Group, others: dict[PreprocessSpec, _Group], keeps_own: bool
    ) -> None:
        self._images, self._own, self._others, self._keeps_own = images, own, others, keeps_own

    def find(self, sample: Sample) -> Pixels | None:
        """Return the framed image (H, W, 3) that an earlier step left."""
        return self._own.pixels.get(sample.digest)

    def is_hidden(self, sample: Sample) -> bool:
        """Return whether the window left one grey level of an image that was found."""
        return sample.digest in self._own.hidden

    def also(self, sample: Sample) -> tuple[PreprocessSpec, ...]:
        """Return the further framings that are wanted of an image, as far as there is memory for them."""
        room, chosen = self._images.room(), []
        for framing, group in self._others.items():
            size = 3 * framing.size_px**2
            if sample.digest not in group.pixels and size <= room:
                chosen.append(framing)
                room -= size
        return tuple(chosen)

    def keep(
        self, sample: Sample, pixels: Pixels, hidden: bool, others: Sequence[tuple[PreprocessSpec, Pixels | None]]
    ) -> None:
        """Keep what a decoder made of an image, as far as later steps want it and there is memory."""
        made = [(self._own, pixels)] if self._keeps_own else []
        made += [(self._others[framing], each) for framing, each in others if each is not None]
        for group, each in made:
            if sample.digest in group.pixels or each.nbytes > self._images.room():
                continue
            group.pixels[sample.digest] = np.array(each)  # a copy: its place in the ring is used again
            self._images.held += each.nbytes
            if hidden:
                group.hidden.add(sample.digest)
