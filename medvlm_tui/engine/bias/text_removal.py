"""The counter-experiment: text taken out of images again, and what becomes of accuracy."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

import numpy as np
from PIL import Image

from medvlm_tui.core.events import Event
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.bench.measures import About, correct
from medvlm_tui.engine.bias import measures
from medvlm_tui.engine.bias.burned_text import BurnedText
from medvlm_tui.engine.bias.lab import Box, Features, Lab
from medvlm_tui.engine.bias.overlay import draw_overlay
from medvlm_tui.engine.bias.text_boxes import blank, inpaint, mask_border
from medvlm_tui.engine.probe.classifier import Classifier
from medvlm_tui.stages.records.measure import Measure

UNTOUCHED = "as it is"
# The border that most annotations of scanners stand in.
_OWN_BORDER = 0.12
Remove = Callable[[Image.Image, Sequence[Box]], Image.Image]
Found = TypeVar("Found")


def removals(border: float) -> dict[str, Remove]:
    """Return the ways of taking text out by name; the last paints a border of this share of each side black."""
    return {"blank": blank, "inpaint": inpaint, "border": lambda image, _: mask_border(image, border)}


def own_text(lab: Lab, plain: Features, texts: Sequence[BurnedText]) -> Generator[Event, None, list[Measure]]:
    """Return the accuracy of the probe's classifier on the hold-out as it is, and without the images' own text."""
    boxes = {lab.samples[row].id: text.boxes for row, text in zip(lab.test, texts, strict=True)}
    right = {UNTOUCHED: correct(lab.classifier, plain, lab.test_codes)}
    for name, remove in removals(_OWN_BORDER).items():

        def draw(sample: Sample, remove: Remove = remove) -> Image.Image:
            return remove(lab.read(sample), boxes[sample.id])

        features = yield from lab.encode(f"own {name}", lab.test, draw)
        right[name] = correct(lab.classifier, features, lab.test_codes)
    return [About("removal_accuracy", name).share(values) for name, values in right.items()]


def reversed_text(lab: Lab, features: Features, model: Classifier) -> Generator[Event, None, list[Measure]]:
    """Return the accuracy of a classifier that learnt words, on the hold-out with reversed words, as it is and with
    these words taken out again.

    `features` (w, n, d) of every image under every word, the hold-out's images last.
    """
    codes = lab.test_codes
    words = measures.reversed_words(codes, len(lab.classes), len(features))
    word_of = {lab.samples[row].id: int(word) for row, word in zip(lab.test, words, strict=True)}
    places = len(lab.train) + np.arange(len(codes))
    right = {UNTOUCHED: correct(model, features[words, places], codes)}
    for name, remove in removals(word_border(lab)).items():

        def draw(sample: Sample, remove: Remove = remove) -> Image.Image:
            drawn = draw_overlay(lab.read(sample), lab.spec(word_of[sample.id]))
            return remove(drawn.image, [drawn.box])

        found = yield from lab.encode(f"reversed {name}", lab.test, draw)
        right[name] = correct(model, found, codes)
    return [About("removal_reversed", name, words=lab.params.words).share(values) for name, values in right.items()]


def word_border(lab: Lab) -> float:
    """Return the border that hides the lab's words where they stand at an edge."""
    spec = lab.spec(0)
    return min(0.45, spec.margin + 1.5 * spec.height)
