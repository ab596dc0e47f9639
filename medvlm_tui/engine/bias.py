"""The bias lab: what words burned into an image do to a model's features and to a classifier trained on them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.engine import bias_measures as measures
from medvlm_tui.engine import bias_words, burned_text, summaries
from medvlm_tui.engine.bias_lab import Features, Lab, drawn, prepare
from medvlm_tui.engine.bias_maps import WordMaps, images_to_encode, word_maps
from medvlm_tui.engine.bias_removal import own_text, removals, reversed_text
from medvlm_tui.engine.datasets.pixels import read_sample
from medvlm_tui.engine.heap import keep_freed_memory
from medvlm_tui.engine.images.geometry import view_of
from medvlm_tui.engine.overlay import draw_overlay
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.versions import versions

Arrays = dict[str, NDArray[Any]]
_SHOWN_PER_CLASS = 2
_SHOWN = 12


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Measure one model on one dataset: measures (a) to (f), its own burned-in text, and what removing text does."""
    begun = time.monotonic()
    keep_freed_memory()
    lab = prepare(job, context)
    kinds = ("text", *lab.params.controls)
    everything = np.concatenate([lab.train, lab.test])
    lab.total = _images_to_encode(lab, len(everything), len(kinds))
    plain = yield from lab.encode("plain", everything, read_sample)
    words = yield from _worded(lab, everything)
    before, n_train = plain[len(lab.train) :], len(lab.train)
    after = {"text": words[0, n_train:]}
    for kind in lab.params.controls:
        after[kind] = yield from lab.encode(f"control {kind}", lab.test, lab.overlay(0, kind))
    found = [measure for kind in kinds for measure in bias_words.moved(lab, before, after[kind], kind)]
    found += bias_words.against_controls(lab, before, after)
    found += [*bias_words.decoded(lab, words), bias_words.robust(lab, everything, words)]
    models = {level: bias_words.correlated_classifier(lab, words, level) for level in lab.params.levels}
    found += bias_words.correlated(lab, words, models)
    reader = burned_text.ocr_reader()
    texts = []
    for row in lab.test:
        context.check()
        texts.append(burned_text.burned_text(lab.samples[row], reader))
    right = measures.correct(lab.classifier, before, lab.test_codes)
    found += burned_text.grouped_accuracy(texts, right, lab.params.seed)
    found += yield from own_text(lab, before, texts)
    found += yield from reversed_text(lab, words, models[max(models)])
    arrays = _arrays(lab, before, after, kinds)
    maps: WordMaps | None = None
    if lab.params.rise_masks >= 2:
        levels = (min(models), max(models))
        maps = yield from word_maps(lab, [models[level] for level in levels], levels)
        found += maps.measures(lab.params.seed)
        arrays |= _map_arrays(maps)
    record = {
        **asdict(lab.params),
        "classes": list(lab.classes),
        "kinds": list(kinds),
        "images": [lab.samples[row].id for row in lab.test],
        "measures": [measure.to_record() for measure in found],
        "flipped": {k: np.flatnonzero(measures.flips(lab.classifier, before, after[k])).tolist() for k in kinds},
        "shown": _shown(lab),
        "texts": burned_text.records([lab.samples[row] for row in lab.test], texts),
        "map_levels": list(maps.levels) if maps else [],
        "map_items": maps.items if maps else [],
        "n_train": n_train,
        "n_test": len(lab.test),
        "versions": versions("numpy", "torch", "scikit-learn", "pillow"),
        "device": lab.encoder.device,
        "seconds": time.monotonic() - begun,
    }
    context.store.put_result(job.step.key, arrays, record)
    lab.forget()
    shown = summaries.of_record("bias", record)
    yield ResultReady(job.step.id, "bias", job.step.key, job.step.model, job.step.dataset, shown)


def _images_to_encode(lab: Lab, everything: int, kinds: int) -> int:
    once = everything * (1 + len(lab.params.words)) + len(lab.test) * (kinds - 1 + 2 * len(removals(0)))
    return once + (images_to_encode(lab) if lab.params.rise_masks >= 2 else 0)


def _worded(lab: Lab, everything: NDArray[np.int64]) -> Generator[Event, None, Features]:
    """Return (w, n, d): every image under every word."""
    found = []
    for word in range(len(lab.params.words)):
        found.append((yield from lab.encode(f"word {word}", everything, lab.overlay(word))))
    return np.stack(found)


def _shown(lab: Lab) -> list[int]:
    """Return the positions in the lab's hold-out images of those that are stored as pictures."""
    rows = drawn(lab.test, lab.codes, _SHOWN_PER_CLASS, lab.params.seed)[:_SHOWN]
    return [int(np.flatnonzero(lab.test == row)[0]) for row in rows]


def _arrays(lab: Lab, before: Features, after: dict[str, Features], kinds: tuple[str, ...]) -> Arrays:
    """Return the shifts and decision values of every hold-out image, and the pictures of the shown ones."""
    pictures, boxes = [], []
    for position in _shown(lab):
        image = read_sample(lab.samples[lab.test[position]])
        overlaid = [draw_overlay(image, lab.spec(0, kind)) for kind in kinds]
        drawn_images = [image, *(one.image for one in overlaid)]
        pictures.append(np.stack([lab.encoder.display(lab.encoder.preprocess(one)) for one in drawn_images]))
        boxes.append(view_of(lab.job.model.preprocess, image.size).box(overlaid[0].box))
    features = [before, *(after[kind] for kind in kinds)]
    return {
        "shifts": np.stack([measures.shift(before, after[kind]) for kind in kinds]).astype(np.float32),
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
