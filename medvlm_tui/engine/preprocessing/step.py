"""The preprocessing lab: one model on one dataset under every change of the panel."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.specs import PreprocessSpec, Sample
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.bench.bench import Bench, Draw, Features, Ints, open_bench
from medvlm_tui.engine.bench.measures import correct
from medvlm_tui.engine.bench.seeds import seed_of
from medvlm_tui.engine.images.decoders import whole_image
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.preprocessing import measures
from medvlm_tui.engine.preprocessing.changes import Place, changed
from medvlm_tui.engine.preprocessing.frames import reframed
from medvlm_tui.engine.preprocessing.measures import Neighbourhood, Way
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.stages.params.preprocessing import PreprocessingParams, Variant, parse_variant
from medvlm_tui.stages.preprocessing import PREPROCESSING
from medvlm_tui.stages.records.preprocessing import PreprocessingRecord, VariantRecord

_SHOWN_PER_CLASS = 1
_SHOWN = 6


@dataclass(slots=True)
class Images:
    """The lab's images under each change."""

    bench: Bench
    seed: int
    own_framing: bool
    """True where the encoder prepares its input by the plain preprocessing of its entry."""

    def under(self, variant: Variant) -> Draw | str:
        """Return what draws an image under a change, or why the change does not apply to this model."""
        if variant.place == "read":
            return partial(whole_image, read=partial(read_sample, window=variant.value))
        if variant.place == "image":
            return partial(self._changed, variant)
        spec = self.bench.job.model.preprocess
        other = reframed(spec, variant) if self.own_framing else "the encoder prepares its input by code of its own"
        return partial(self._framed, Preprocess(other)) if isinstance(other, PreprocessSpec) else other

    def changes(self, draw: Draw, sample: Sample) -> bool:
        """Return whether a change gives the model another input for this image."""
        return not torch.equal(self.bench.input(draw(sample)), self.bench.input(self.bench.read(sample)))

    def _changed(self, variant: Variant, sample: Sample) -> Image.Image:
        image = self.bench.read(sample)
        scale = min(image.size) / self.bench.job.model.preprocess.resize_px
        return changed(image, variant, Place(max(scale, 1.0), seed_of(self.seed, sample.id, variant.name)))

    def _framed(self, preprocess: Preprocess, sample: Sample) -> torch.Tensor:
        return preprocess(self.bench.read(sample))


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Encode the lab's images under each change, and measure what it does; a change that changes nothing is named."""
    begun, params = time.monotonic(), params_of(PreprocessingParams, job.step.params)
    bench = open_bench(job, context, params.train_per_class, params.test_per_class, params.seed)
    images = Images(bench, params.seed, _own_framing(bench))
    rows = np.concatenate([bench.train, bench.test])
    bench.total = len(rows) * (1 + len(params.variants))
    plain = yield from _way(bench, "plain", rows, bench.read)
    lab = Lab(bench, images, rows, plain, Neighbourhood.of(plain))
    found = []
    for name in params.variants:
        found.append((yield from lab.measured(parse_variant(name))))
    record = PreprocessingRecord(
        **asdict(params),
        classes=bench.classes,
        images=tuple(bench.samples[row].id for row in bench.test),
        shown=bench.shown(_SHOWN_PER_CLASS, _SHOWN, params.seed),
        measured=tuple(each.name for each in found if not each.left_out),
        changes=tuple(found),
        default=(measures.of_default(plain, bench.test_codes, bench.chance),),
        t=bench.t,
        n_train=len(bench.train),
        n_test=len(bench.test),
        duplicates=int((~lab.around.single).sum()),
        seconds=time.monotonic() - begun,
        versions=versions("numpy", "torch", "scikit-learn", "pillow"),
        device=bench.encoder.device,
    )
    context.store.put_result(job.step.key, lab.arrays(record), record)
    bench.forget()
    shown = PREPROCESSING.summary(record)
    yield ResultReady(job.step.id, "preprocessing", job.step.key, job.step.model, job.step.dataset, shown)


@dataclass(slots=True)
class Lab:
    """The unchanged images, and what the changes measured so far have given."""

    bench: Bench
    images: Images
    rows: Ints
    plain: Way
    around: Neighbourhood
    right: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = field(default_factory=list)
    """For each measured change whether each hold-out image is right, retrained and transferred."""

    def measured(self, variant: Variant) -> Generator[Event, None, VariantRecord]:
        """Yield progress; return what a change does, or why it was left out."""
        draw = self.images.under(variant)
        number = 0 if isinstance(draw, str) else self._changed(draw)
        if isinstance(draw, str) or number == 0:
            self.bench.total -= len(self.rows)
            why = draw if isinstance(draw, str) else f"it changes none of {len(self.bench.test)} hold-out images"
            return VariantRecord(name=variant.name, place=variant.place, changed=0, left_out=why)
        other = yield from _way(self.bench, variant.name, self.rows, draw)
        codes = self.bench.test_codes
        found, *right = measures.of_change(variant.name, self.plain, other, self.around, codes, self.bench.chance)
        self.right.append((right[0], right[1]))
        return VariantRecord(name=variant.name, place=variant.place, changed=number, measures=found)

    def arrays(self, record: PreprocessingRecord) -> dict[str, NDArray[Any]]:
        """Return the arrays of the result."""
        at_home = correct(self.plain.classifier, self.plain.test, self.bench.test_codes)
        retrained, transfer = ([at_home, *(each[way] for each in self.right)] for way in (0, 1))
        return {
            "retrained": np.stack(retrained),
            "transfer": np.stack(transfer),
            "labels": self.bench.test_codes.astype(np.int16),
            "pictures": np.stack([self._pictures(record, name) for name in ("", *record.measured)]),
        }

    def _changed(self, draw: Draw) -> int:
        samples = (self.bench.samples[row] for row in self.bench.test)
        return sum(self.images.changes(draw, sample) for sample in samples)

    def _pictures(self, record: PreprocessingRecord, name: str) -> NDArray[np.uint8]:
        """Return (k, H, W, 3) what the model sees of the shown images, unchanged for no name."""
        draw = self.images.under(parse_variant(name)) if name else self.bench.read
        assert not isinstance(draw, str)
        return self.bench.pictures(record.shown, draw)


def _way(bench: Bench, name: str, rows: Ints, draw: Draw) -> Generator[Event, None, Way]:
    features: Features = yield from bench.encode(name, rows, draw)
    return Way.of(features, bench.codes[rows], len(bench.train), len(bench.classes), bench.t)


def _own_framing(bench: Bench) -> bool:
    """Return whether the encoder prepares an image exactly as the preprocessing of its entry says."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8))
    expected = Preprocess(bench.job.model.preprocess)(image)
    made = bench.encoder.preprocess(image)
    return made.shape == expected.shape and bool(torch.equal(made, expected))
