"""The bias lab's bench: which images it takes, their features as it draws them, and the classifier that judges them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
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
from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.registry import load_encoder
from medvlm_tui.engine.images.decoders import whole_image
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.probe.classifier import Classifier, final_classifier
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_memory import with_back_off
from medvlm_tui.engine.step.inputs import earlier_result, feature_table
from medvlm_tui.engine.step.job import Job, StepContext
from medvlm_tui.errors import CorruptEntryError, UsageError
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.probe import PROBE

Ints = NDArray[np.int64]
Features = NDArray[np.float32]
Box = tuple[int, int, int, int]
Draw = Callable[[Sample], Image.Image]


@dataclass(slots=True)
class Lab:
    """The images, the encoder, and how far the work has come."""

    job: Job
    context: StepContext
    params: BiasParams
    encoder: Encoder
    classifier: Classifier
    samples: Sequence[Sample]
    classes: tuple[str, ...]
    codes: Ints
    train: Ints
    """Positions in `samples` of the training part's images."""
    test: Ints
    batch_size: int
    total: int = 0
    """Images to be encoded in all, masked ones included."""
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def test_codes(self) -> Ints:
        """(n_test,) classes of the hold-out's images."""
        return np.asarray(self.codes[self.test])

    @property
    def even_level(self) -> float:
        """The share of images with their own class's word at which all words are equally common in every class, so
        that words tell nothing of the class."""
        return 1 / len(self.params.words)

    @property
    def levels(self) -> tuple[float, ...]:
        """Every level of correlation in training, in rising order: those asked for and the even one."""
        asked = [level for level in self.params.levels if abs(level - self.even_level) > 1e-9]
        return tuple(sorted({*asked, self.even_level}))

    def read(self, sample: Sample) -> Image.Image:
        """Return an image as the run's features saw it; raises ImageError."""
        return whole_image(sample, partial(read_sample, window=self.job.request.window))

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
            drawn = [self.encoder.preprocess(draw(self.samples[row])) for row in rows[begin : begin + self.batch_size]]
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
        return keys.lab_features(self.job.step.key, name)

    def advanced(self, images: int) -> StepProgress:
        """Count images as done and say so."""
        self.done += images
        rate = self.done / max(time.monotonic() - self.began, 1e-9)
        total = max(self.total, self.done)
        return StepProgress(self.job.step.id, self.done, total, rate, (total - self.done) / rate, "images")

    def spec(self, word: int, kind: str = "text") -> OverlaySpec:
        """Return how a word, or a control with its ink, is drawn."""
        p = self.params
        return OverlaySpec(p.words[word], kind, p.position, p.height, p.contrast, seed=p.seed)

    def overlay(self, word: int, kind: str = "text") -> Draw:
        """Return what draws a word, or a control of its ink."""
        spec = self.spec(word, kind)
        return lambda sample: draw_overlay(self.read(sample), spec).image


def prepare(job: Job, context: StepContext, params: BiasParams) -> Lab:
    """Read the job's inputs and load its encoder; raises UsageError for parameters the lab cannot work with."""
    if len(params.words) < 2 or min(params.train_per_class, params.test_per_class) < 2:
        raise UsageError("the bias lab needs two words and two images a class", "give more of both")
    probe, ids = earlier_result(job, context, PROBE), feature_table(job, context).ids
    known = {sample.id: sample for sample in job.dataset.samples}
    codes = probe.arrays["labels"].astype(np.int64)
    machine = devices.choose(job.request.device, job.encoder.precision)
    encoder = load_encoder(job.model, job.weights, job.encoder.feature, machine.device, machine.precision)
    train, hold_out = np.flatnonzero(probe.arrays["fold"] >= 0), probe.arrays["hold_out"]
    return Lab(
        job, context, params, encoder, final_classifier(probe), [known[name] for name in ids],
        probe.record.classes, codes,
        drawn(train, codes, params.train_per_class, params.seed),
        drawn(hold_out, codes, params.test_per_class, params.seed),
        job.request.batch_size or devices.default_batch_size(encoder.device, job.model.preprocess.size_px),
    )  # fmt: skip


def drawn(rows: Ints, codes: Ints, per_class: int, seed: int) -> Ints:
    """Return up to `per_class` rows of each class, drawn with the seed, in their order."""
    chosen = []
    for c in np.unique(codes[rows]):
        members = rows[codes[rows] == c]
        chosen.append(members[np.random.default_rng([seed, int(c)]).permutation(len(members))[:per_class]])
    return np.sort(np.concatenate(chosen)).astype(np.int64)
