"""The bias lab: what words burned into an image do to a model's features and to a classifier trained on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine import bias_measures as measures
from medvlm_tui.engine import devices
from medvlm_tui.engine.bias_measures import Measure, mean_measure
from medvlm_tui.engine.classifier import Classifier
from medvlm_tui.engine.datasets.pixels import read_sample
from medvlm_tui.engine.encoders.base import Encoder
from medvlm_tui.engine.encoders.families import load_encoder
from medvlm_tui.engine.heap import keep_freed_memory
from medvlm_tui.engine.images.geometry import view_of
from medvlm_tui.engine.masks import CHUNK, MaskStream
from medvlm_tui.engine.overlay import CONTROLS, OverlaySpec, draw_overlay
from medvlm_tui.engine.rise import estimate
from medvlm_tui.engine.saliency import final_classifier
from medvlm_tui.engine.saliency_quality import boxes_mask, mass_inside
from medvlm_tui.engine.saliency_scores import Masking
from medvlm_tui.engine.step_inputs import earlier_result, feature_table, params_of
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.text_boxes import blank, find_text, inpaint, mask_border
from medvlm_tui.engine.versions import versions
from medvlm_tui.errors import UsageError

Ints = NDArray[np.int64]
Features = NDArray[np.float32]
Draw = Callable[[Sample], Image.Image]


@dataclass(frozen=True, slots=True)
class BiasParams:
    """What the lab draws and how many images it takes."""

    words: tuple[str, ...] = ("BREAST", "AXILLA", "LEFT", "RIGHT")
    """Pairs (0, 1) and (2, 3) are told apart; class c's own word is number c modulo their count."""
    position: str = "bottom_left"
    height: float = 0.08
    contrast: float = 1.0
    train_per_class: int = 40
    test_per_class: int = 20
    """Images of the hold-out, drawn with the seed."""
    neighbours: int = 10
    levels: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Share of training images whose word is their class's."""
    rise_masks: int = 256
    """Reduced masks for each explained image; 0 leaves the maps out."""
    rise_images: int = 2
    """Explained images a class."""
    seed: int = 0


@dataclass(slots=True)
class Lab:
    """The images, the encoder, and features made so far."""

    job: Job
    context: StepContext
    params: BiasParams
    encoder: Encoder
    classifier: Classifier
    samples: Sequence[Sample]
    codes: Ints
    train: Ints
    """Positions in `samples` of the training part's images."""
    test: Ints
    batch_size: int
    total: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    def encode(self, rows: Ints, draw: Draw) -> Generator[Event, None, Features]:
        """Yield progress; return the features (n, d) of the rows' images as `draw` makes them."""
        parts: list[torch.Tensor] = []
        for begin in range(0, len(rows), self.batch_size):
            self.context.check()
            drawn = [self.encoder.preprocess(draw(self.samples[row])) for row in rows[begin : begin + self.batch_size]]
            found, _ = devices.with_back_off(
                lambda some: self.encoder.encode(torch.stack(list(some))), drawn, len(drawn)
            )
            parts += found
            self.done += len(drawn)
            rate = self.done / max(time.monotonic() - self.began, 1e-9)
            eta_s = max(self.total - self.done, 0) / rate
            yield StepProgress(self.job.step.id, self.done, max(self.total, self.done), rate, eta_s)
        return np.asarray(torch.cat(parts).numpy())

    def overlay(self, word: int, kind: Any = "text") -> Draw:
        """Return what draws a word, or a control of its ink."""
        p = self.params
        spec = OverlaySpec(p.words[word], kind, p.position, p.height, p.contrast, seed=p.seed)
        return lambda sample: draw_overlay(read_sample(sample), spec).image


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Measure one model on one dataset: measures (a) to (f), and what removing text does."""
    begun = time.monotonic()
    keep_freed_memory()
    lab = _prepare(job, context)
    everything = np.concatenate([lab.train, lab.test])
    kinds, words = ("text", *CONTROLS), range(len(lab.params.words))
    lab.total = len(lab.test) * (len(CONTROLS) + 4) + len(everything) * (1 + len(words))
    plain = yield from lab.encode(everything, read_sample)
    worded = []
    for word in words:
        worded.append((yield from lab.encode(everything, lab.overlay(word))))
    features = np.stack(worded)
    n_train, found = len(lab.train), list[Measure]()
    controls = {"text": features[0, n_train:]}
    for kind in CONTROLS:
        controls[kind] = yield from lab.encode(lab.test, lab.overlay(0, kind))
    for kind in kinds:
        found += _moved(lab, plain[n_train:], controls[kind], kind)
    found += [*_decoded(lab, features), _robust(lab, everything, features)]
    found += _correlated(lab, features, n_train)
    removal = yield from _removed(lab, plain[n_train:])
    found += removal + _masses(lab, features, n_train, plain)
    record = {
        **asdict(lab.params),
        "measures": [measure.to_record() for measure in found],
        "n_train": n_train,
        "n_test": len(lab.test),
        "classes": list(job.dataset.classes),
        "images": [lab.samples[row].id for row in lab.test],
        "flipped": {
            k: np.flatnonzero(measures.flips(lab.classifier, plain[n_train:], controls[k])).tolist() for k in kinds
        },
        "versions": versions("numpy", "torch", "scikit-learn", "pillow"),
        "seconds": time.monotonic() - begun,
    }
    shifts = np.stack([measures.shift(plain[n_train:], controls[kind]) for kind in kinds])
    context.store.put_result(job.step.key, {"shifts": shifts}, record)
    summary = {m.condition: m.value for m in found if m.name == "shift"}
    yield ResultReady(job.step.id, "bias", job.step.key, job.step.model, job.step.dataset, summary)


def _prepare(job: Job, context: StepContext) -> Lab:
    params = params_of(BiasParams, job.step.params)
    if len(params.words) < 2 or min(params.train_per_class, params.test_per_class) < 2:
        raise UsageError("the bias lab needs two words and two images a class", "give more of both")
    probe, ids = earlier_result(job, context, "probe"), feature_table(job, context).ids
    known = {sample.id: sample for sample in job.dataset.samples}
    codes = probe.arrays["labels"].astype(np.int64)
    machine = devices.choose(job.request.device, job.encoder.precision)
    encoder = load_encoder(job.model, job.weights, job.encoder.feature, machine.device, machine.precision)
    hold_out = probe.arrays["hold_out"]
    train = np.flatnonzero(probe.arrays["fold"] >= 0)
    batch_size = job.request.batch_size or devices.default_batch_size(encoder.device, job.model.preprocess.size_px)
    return Lab(
        job, context, params, encoder, final_classifier(probe), [known[name] for name in ids], codes,
        _drawn(train, codes, params.train_per_class, params.seed),
        _drawn(hold_out, codes, params.test_per_class, params.seed), batch_size,
    )  # fmt: skip


def _drawn(rows: Ints, codes: Ints, per_class: int, seed: int) -> Ints:
    chosen = []
    for c in np.unique(codes[rows]):
        members = rows[codes[rows] == c]
        chosen.append(members[np.random.default_rng([seed, int(c)]).permutation(len(members))[:per_class]])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _moved(lab: Lab, before: Features, after: Features, kind: str) -> list[Measure]:
    """(a) shift and (c) flips of one overlay."""
    flipped = measures.flips(lab.classifier, before, after)
    right = measures.correct(lab.classifier, after, lab.codes[lab.test])
    return [
        mean_measure("shift", kind, measures.shift(before, after), lab.params.seed),
        mean_measure("flip_rate", kind, flipped, lab.params.seed),
        mean_measure("accuracy_with", kind, right, lab.params.seed),
    ]


def _decoded(lab: Lab, features: Features) -> list[Measure]:
    """(b) words told apart, pair by pair; the interval is over images, each with both its pictures."""
    found = []
    for first in range(0, len(features) - 1, 2):
        right = measures.decodability(features[first], features[first + 1], lab.params.seed)
        name = f"{lab.params.words[first]}/{lab.params.words[first + 1]}"
        found.append(mean_measure("decodability", name, right.reshape(2, -1).mean(axis=0), lab.params.seed, chance=0.5))
    return found


def _robust(lab: Lab, rows: Ints, features: Features) -> Measure:
    """(d) with words 0 and 1 drawn at random."""
    words = np.random.default_rng([lab.params.seed, 7]).integers(0, 2, size=len(rows))
    mixed = features[words, np.arange(len(rows))]
    return measures.robustness_measure(mixed, lab.codes[rows], words, lab.params.neighbours, lab.params.seed)


def correlated_classifier(lab: Lab, features: Features, n_train: int, share: float) -> Classifier:
    """Return the classifier trained on images whose word is their class's with probability `share`."""
    codes = lab.codes[lab.train]
    words = measures.correlated_words(codes, len(features), share, lab.params.seed)
    return measures.fitted(features[words, np.arange(n_train)], codes, int(lab.codes.max()) + 1)


def _correlated(lab: Lab, features: Features, n_train: int) -> list[Measure]:
    """(e) accuracy on the hold-out with random, matching and reversed words, for each level in training."""
    codes, found = lab.codes[lab.test], []
    places = n_train + np.arange(len(lab.test))
    tests = {
        "random": measures.correlated_words(codes, len(features), 0.0, lab.params.seed + 1),
        "matching": codes % len(features),
        "reversed": measures.reversed_words(codes, len(features)),
    }
    for level in lab.params.levels:
        model = correlated_classifier(lab, features, n_train, level)
        for name, words in tests.items():
            right = measures.correct(model, features[words, places], codes)
            found.append(mean_measure(f"accuracy_{name}", f"{level:g}", right, lab.params.seed))
    return found


def text_boxes(sample: Sample) -> list[tuple[int, int, int, int]]:
    """Return the sample's known word boxes, or those found in the image when none are known."""
    known = [box for name, box in sample.boxes.items() if not name.startswith("caliper")]
    return known or [line.box for line in find_text(read_sample(sample))]


def _removed(lab: Lab, plain: Features) -> Generator[Event, None, list[Measure]]:
    """Accuracy of the probe's classifier as it is, and with text blanked, inpainted, or the border black."""
    draws: dict[str, Draw] = {
        "blank": lambda sample: blank(read_sample(sample), text_boxes(sample)),
        "inpaint": lambda sample: inpaint(read_sample(sample), text_boxes(sample)),
        "border": lambda sample: mask_border(read_sample(sample)),
    }
    codes = lab.codes[lab.test]
    found = [
        mean_measure("removal_accuracy", "as it is", measures.correct(lab.classifier, plain, codes), lab.params.seed)
    ]
    for name, draw in draws.items():
        features = yield from lab.encode(lab.test, draw)
        right = measures.correct(lab.classifier, features, codes)
        found.append(mean_measure("removal_accuracy", name, right, lab.params.seed))
    return found


def _masses(lab: Lab, features: Features, n_train: int, plain: Features) -> list[Measure]:
    """(f) RISE mass inside the word's box: classifiers of every level share each image's masked features."""
    params = lab.params
    if params.rise_masks < 2:
        return []
    levels = [min(params.levels), max(params.levels)]
    models = [correlated_classifier(lab, features, n_train, level) for level in levels]
    masses: list[list[float]] = [[] for _ in levels]
    areas: list[float] = []
    for row in _drawn(lab.test, lab.codes, params.rise_images, params.seed):
        word = int(lab.codes[row]) % len(params.words)
        spec = OverlaySpec(params.words[word], "text", params.position, params.height, params.contrast)
        overlaid = draw_overlay(read_sample(lab.samples[row]), spec)
        view = view_of(lab.job.model.preprocess, overlaid.image.size)
        region = boxes_mask([view.box(overlaid.box)], view.size_px)
        areas.append(float(region.mean()))
        maps = _maps(lab, models, lab.encoder.preprocess(overlaid.image))
        for mass, one in zip(masses, maps, strict=True):
            mass.append(mass_inside(one, region) or 0.0)
    chance = float(np.mean(areas))
    return [
        mean_measure("mass_text", f"{level:g}", np.array(mass), params.seed, chance=chance)
        for level, mass in zip(levels, masses, strict=True)
    ]


def _maps(lab: Lab, models: Sequence[Classifier], pixels: torch.Tensor) -> list[NDArray[np.float64]]:
    """Return the reduced map of each model's predicted class, from one set of masked features."""
    moved = pixels[None].to(lab.encoder.device)
    both = Stack(models)
    stream = MaskStream(7, 0.5, lab.params.seed, pixels.shape[-2], pixels.shape[-1], paired=True)
    masking = Masking(lab.encoder, both, stream, moved, torch.zeros_like(moved), lab.batch_size)
    parts: list[NDArray[np.float64]] = []
    for chunk, begin in enumerate(range(0, lab.params.rise_masks, CHUNK)):
        parts += masking.scores(chunk, min(CHUNK, lab.params.rise_masks - begin), lab.context.check)
    scores, whole = np.concatenate(parts), both.scores(lab.encoder.encode(moved).numpy())[0]
    k = len(models[0].intercept)
    chosen = [m * k + int(whole[m * k : (m + 1) * k].argmax()) for m in range(len(models))]
    return list(estimate(stream, scores[:, chosen], "reduced").maps)


@dataclass(frozen=True, slots=True)
class Stack:
    """Several classifiers as one: their decision values side by side."""

    models: Sequence[Classifier]

    def scores(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (n, models x k)."""
        return np.concatenate([model.scores(features) for model in self.models], axis=1)
