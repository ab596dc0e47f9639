"""The bias lab: what words burned into an image do to a model's features and to a classifier trained on them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.bench.measures import correct, flips, shift
from medvlm_tui.engine.bias import burned_text, experiments
from medvlm_tui.engine.bias.burned_text import BurnedText
from medvlm_tui.engine.bias.lab import Features, Lab, prepare
from medvlm_tui.engine.bias.overlay import draw_overlay
from medvlm_tui.engine.bias.text_removal import own_text, removals, reversed_text
from medvlm_tui.engine.bias.word_maps import WordMaps, images_to_encode, word_maps
from medvlm_tui.engine.images.geometry import view_of
from medvlm_tui.engine.probe.classifier import Classifier
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.stages.bias import BIAS
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.records.bias import BiasRecord
from medvlm_tui.stages.records.measure import Measure

Arrays = dict[str, NDArray[Any]]
_SHOWN_PER_CLASS = 2
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Encoded:
    """Features of the lab's images, without and with what is drawn into them."""

    before: Features
    """(n_test, d)"""
    after: Mapping[str, Features]
    """Kind of overlay -> (n_test, d), the first word's first."""
    words: Features
    """(w, n_train + n_test, d): every image under every word."""


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Measure one model on one dataset: measures (a) to (f), its own burned-in text, and what removing text does."""
    begun = time.monotonic()
    lab = prepare(job, context, params_of(BiasParams, job.step.params))
    encoded = yield from _encoded(lab)
    models = {level: experiments.correlated_classifier(lab, encoded.words, level) for level in lab.levels}
    texts = _texts(lab)
    found = _of_features(lab, encoded, models, texts)
    found += yield from own_text(lab, encoded.before, texts)
    found += yield from reversed_text(lab, encoded.words, models[max(models)])
    arrays, maps = _arrays(lab, encoded), None
    if lab.params.rise_masks >= 2:
        levels = (lab.even_level, max(models))
        maps = yield from word_maps(lab, [models[level] for level in levels], levels)
        found += maps.measures(lab.params.words)
        arrays |= _map_arrays(maps)
    record = replace(_record(lab, encoded, texts, maps), measures=tuple(found), seconds=time.monotonic() - begun)
    context.store.put_result(job.step.key, arrays, record)
    lab.forget()
    shown = BIAS.summary(record)
    yield ResultReady(job.step.id, "bias", job.step.key, job.step.model, job.step.dataset, shown)


def _encoded(lab: Lab) -> Generator[Event, None, Encoded]:
    everything, controls = np.concatenate([lab.train, lab.test]), lab.params.controls
    lab.total = _images_to_encode(lab, len(everything), len(controls))
    plain = yield from lab.encode("plain", everything, lab.read)
    words = []
    for word in range(len(lab.params.words)):
        words.append((yield from lab.encode(f"word {word}", everything, lab.overlay(word))))
    after = {"text": words[0][len(lab.train) :]}
    for kind in controls:
        after[kind] = yield from lab.encode(f"control {kind}", lab.test, lab.overlay(0, kind))
    return Encoded(plain[len(lab.train) :], after, np.stack(words))


def _texts(lab: Lab) -> list[BurnedText]:
    reader, found = burned_text.ocr_reader(), []
    for row in lab.test:
        lab.context.check()
        found.append(burned_text.burned_text(lab.samples[row], reader, lab.job.request.window, lab.params.words))
    return found


def _of_features(
    lab: Lab, encoded: Encoded, models: Mapping[float, Classifier], texts: Sequence[BurnedText]
) -> list[Measure]:
    before, after = encoded.before, encoded.after
    found = [measure for kind in after for measure in experiments.moved(lab, before, after[kind], kind)]
    found += experiments.against_controls(lab, before, after)
    found += experiments.decoded(lab, encoded.words)
    found += experiments.robust(lab, np.concatenate([lab.train, lab.test]), encoded.words)
    found += experiments.correlated(lab, encoded.words, models)
    right = correct(lab.classifier, before, lab.test_codes)
    return found + burned_text.grouped_accuracy(texts, right)


def _record(lab: Lab, encoded: Encoded, texts: Sequence[BurnedText], maps: WordMaps | None) -> BiasRecord:
    """Return the lab's record without its measures."""
    before, images = encoded.before, [lab.samples[row] for row in lab.test]
    flipped = {kind: flips(lab.classifier, before, after) for kind, after in encoded.after.items()}
    return BiasRecord(
        **asdict(replace(lab.params, levels=lab.levels)),
        even_level=lab.even_level,
        classes=lab.classes,
        kinds=tuple(encoded.after),
        images=tuple(image.id for image in images),
        flipped={kind: tuple(np.flatnonzero(flags).tolist()) for kind, flags in flipped.items()},
        shown=lab.shown(_SHOWN_PER_CLASS, _SHOWN, lab.params.seed),
        measures=(),
        texts=burned_text.records(images, texts),
        map_levels=() if maps is None else maps.levels,
        map_items=() if maps is None else tuple(maps.items),
        n_train=len(lab.train),
        n_test=len(lab.test),
        versions=versions("numpy", "torch", "scikit-learn", "pillow"),
        device=lab.encoder.device,
    )


def _images_to_encode(lab: Lab, everything: int, controls: int) -> int:
    once = everything * (1 + len(lab.params.words)) + len(lab.test) * (controls + 2 * len(removals(0)))
    return once + (images_to_encode(lab) if lab.params.rise_masks >= 2 else 0)


def _arrays(lab: Lab, encoded: Encoded) -> Arrays:
    """Return the shifts and decision values of every hold-out image, and the pictures of the shown ones."""
    pictures, boxes, kinds, before = [], [], tuple(encoded.after), encoded.before
    for position in lab.shown(_SHOWN_PER_CLASS, _SHOWN, lab.params.seed):
        image = lab.read(lab.samples[lab.test[position]])
        overlaid = [draw_overlay(image, lab.spec(0, kind)) for kind in kinds]
        drawn_images = [image, *(one.image for one in overlaid)]
        pictures.append(np.stack([lab.encoder.display(lab.encoder.preprocess(one)) for one in drawn_images]))
        boxes.append(view_of(lab.job.model.preprocess, image.size).box(overlaid[0].box))
    features = [before, *encoded.after.values()]
    return {
        "shifts": np.stack([shift(before, after) for after in encoded.after.values()]).astype(np.float32),
        "scores": np.stack([lab.classifier.scores(one) for one in features]).astype(np.float32),
        "labels": lab.test_codes.astype(np.int16),
        "pictures": np.stack(pictures),
        "boxes": np.array(boxes, dtype=np.int32),
    }


def _map_arrays(maps: WordMaps) -> Arrays:
    return {
        "map_images": np.stack(maps.images),
        "map_boxes": np.array(maps.boxes, dtype=np.int32),
        "maps": np.stack(maps.maps).astype(np.float32),
    }
