"""Images in, changed images out: which images of a cell are taken, their features as drawn, the probe's classifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.events import Event, StepProgress
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.store import keys, packing
from medvlm_tui.engine.bench.read_images import ReadImages
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.probe.classifier import Classifier, final_classifier
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.cores import cores
from medvlm_tui.engine.step.device_memory import with_back_off
from medvlm_tui.engine.step.inputs import earlier_result, feature_table
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import CorruptEntryError
from medvlm_tui.measures.draws import draw_of_class
from medvlm_tui.stages.probe import PROBE

Ints = NDArray[np.int64]
Features = NDArray[np.float32]
Input = Image.Image | torch.Tensor
"""An 8-bit image, which the encoder prepares, or a finished input tensor (3, H, W)."""
Draw = Callable[[Sample], Input]


# Whole images that wait in memory while a batch is made.
_IMAGES_PER_CORE = 2


@dataclass(slots=True)
class Bench:
    """The images of a cell that an experiment takes, their encoder, and how far the work has come."""

    job: CellJob
    context: StepContext
    encoder: Encoder
    classifier: Classifier
    """Of the probe: the one whose decisions are looked at."""
    t: float
    """By which the probe's classifiers were fitted: C = t d / N."""
    samples: Sequence[Sample]
    classes: tuple[str, ...]
    codes: Ints
    train: Ints
    """Positions in `samples` of the training part's images."""
    test: Ints
    batch_size: int
    images: ReadImages
    total: int = 0
    """Images to be encoded in all, masked ones included."""
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def test_codes(self) -> Ints:
        """(n_test,) classes of the hold-out's images."""
        return np.asarray(self.codes[self.test])

    @property
    def chance(self) -> float:
        """The share of the commonest class among the hold-out's images."""
        return float(np.bincount(self.test_codes).max() / len(self.test))

    def shown(self, per_class: int, most: int, seed: int) -> tuple[int, ...]:
        """Return the positions among the hold-out's images of those that are stored as pictures."""
        rows = drawn(self.test, self.codes, per_class, seed)[:most]
        return tuple(int(np.flatnonzero(self.test == row)[0]) for row in rows)

    def pictures(self, shown: Sequence[int], draw: Draw) -> NDArray[np.uint8]:
        """Return (k, H, W, 3) what the model sees of the shown images as `draw` makes them."""
        samples = (self.samples[self.test[position]] for position in shown)
        return np.stack([self.encoder.display(self.input(draw(sample))) for sample in samples])

    def read(self, sample: Sample) -> Image.Image:
        """Return an image as the run's features saw it; raises ImageError."""
        return self.images.image(sample)

    def encode(self, name: str, rows: Ints, draw: Draw) -> Generator[Event, None, Features]:
        """Yield progress; return the features (n, d) of the rows' images as `draw` makes them.

        They are kept under `name` until the result is stored, so that a killed run does not make them again.
        """
        kept = self.kept(name)
        if kept is not None and len(kept) == len(rows):
            yield self.advanced(len(rows))
            return kept
        parts: list[torch.Tensor] = []
        begin = 0
        while begin < len(rows):
            self.context.check()
            drawn = self._drawn([self.samples[row] for row in rows[begin : begin + self.batch_size]], draw)
            found, fitting = with_back_off(
                lambda some: self.encoder.encode(torch.stack(list(some))), drawn, self.batch_size
            )
            parts, begin = [*parts, *found], begin + len(drawn)
            self.batch_size = fitting  # for all that follows: what did not fit once will not fit the next time
            yield self.advanced(len(drawn))
        return self.keep(name, np.asarray(torch.cat(parts).numpy()))

    def kept(self, name: str) -> NDArray[Any] | None:
        """Return what an interrupted run of this step has kept under a name."""
        try:
            data = self.context.store.get(self._place(name))
            return None if data is None else packing.unpack(data)[0]["values"]
        except CorruptEntryError:
            return None

    def keep(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """Keep an array until the step is done; returns it."""
        self.context.store.put(self._place(name), packing.pack({"values": values}, {}))
        return values

    def forget(self) -> None:
        """Drop what was kept: the result holds the numbers now."""
        for key in self.context.store.keys(self._place("")):
            self.context.store.discard(key)

    def _place(self, name: str) -> str:
        return keys.bench_features(self.job.step.key, name)

    def advanced(self, images: int) -> StepProgress:
        """Count images as done and say so."""
        self.done += images
        rate = self.done / max(time.monotonic() - self.began, 1e-9)
        total = max(self.total, self.done)
        return StepProgress(self.job.step.id, self.done, total, rate, (total - self.done) / rate, "images")

    def _drawn(self, samples: Sequence[Sample], draw: Draw) -> list[torch.Tensor]:
        """Return the input tensors of a batch: decoded by all cores, drawn one by one, prepared in threads."""
        made: list[torch.Tensor] = []
        with ThreadPoolExecutor(cores()) as threads:
            while len(made) < len(samples):
                part = samples[len(made) : len(made) + _IMAGES_PER_CORE * cores()]
                self.images.ahead(part, self.context.check)
                changed = [draw(sample) for sample in part]  # fonts are not made for several threads
                made += threads.map(self.input, changed)
        return made

    def input(self, drawn: Input) -> torch.Tensor:
        """Return the model's input (3, H, W) of what was drawn."""
        return drawn if isinstance(drawn, torch.Tensor) else self.encoder.preprocess(drawn)


def open_bench(
    job: CellJob, context: StepContext, train_per_class: int, test_per_class: int, seed: int,
    takes: Callable[[Sample], bool] = lambda sample: True,
) -> Bench:  # fmt: skip
    """Read the job's inputs, draw its images with the seed from those that it takes, and load its encoder."""
    probe, ids = earlier_result(job, context, PROBE), feature_table(job, context).ids
    known = {sample.id: sample for sample in job.dataset.samples}
    codes = probe.arrays["labels"].astype(np.int64)
    machine = devices.choose(job.request.device, job.encoder.precision)
    encoders = context.resources.of(Encoders)
    encoder = encoders.get(job.model, job.weights, job.encoder.feature, machine.device, machine.precision)
    samples = [known[name] for name in ids]
    taken = np.array([takes(sample) for sample in samples], dtype=bool)
    train, hold_out = np.flatnonzero((probe.arrays["fold"] >= 0) & taken), probe.arrays["hold_out"]
    hold_out = hold_out[taken[hold_out]]
    return Bench(
        job, context, encoder, final_classifier(probe), probe.record.t or 1.0, samples, probe.record.classes, codes,
        drawn(train, codes, train_per_class, seed),
        drawn(hold_out, codes, test_per_class, seed),
        job.request.batch_size or devices.default_batch_size(encoder.device, job.model.preprocess.size_px),
        ReadImages(partial(read_sample, window=job.request.window)),
    )  # fmt: skip


def drawn(rows: Ints, codes: Ints, per_class: int, seed: int) -> Ints:
    """Return up to `per_class` rows of each class, drawn with the seed, in their order."""
    chosen = []
    for c in np.unique(codes[rows]):
        members = rows[codes[rows] == c]
        chosen.append(draw_of_class(members, int(c), per_class, seed))
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen])).astype(np.int64)
