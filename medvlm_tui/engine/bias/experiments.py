"""Measures of the bias lab that need features alone: shift, flips, decodability, neighbourhoods, correlated words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medvlm_tui.engine.bench.measures import About, correct, fitted, flips, shift
from medvlm_tui.engine.bias import measures
from medvlm_tui.engine.bias.lab import Features, Ints, Lab
from medvlm_tui.engine.probe.classifier import Classifier
from medvlm_tui.measures.intervals import mean_interval
from medvlm_tui.stages.records.bias import EVERY_CONTROL
from medvlm_tui.stages.records.measure import Measure


def moved(lab: Lab, before: Features, after: Features, kind: str) -> list[Measure]:
    """(a) shift and (c) flips of one overlay of the first word, and the accuracy under it."""
    word = lab.params.words[:1]
    flipped = flips(lab.classifier, before, after)
    right = correct(lab.classifier, after, lab.test_codes)
    return [
        About("shift", kind, words=word).mean(shift(before, after)),
        About("flip_rate", kind, words=word).share(flipped),
        About("accuracy_with", kind, words=word).share(right),
    ]


def against_controls(lab: Lab, before: Features, after: Mapping[str, Features]) -> list[Measure]:
    """(a) how much further the word moves each image than a control of its ink does: paired differences, and the
    least of them."""
    word, drawn = shift(before, after["text"]), lab.params.words[:1]
    differences = {kind: word - shift(before, features) for kind, features in after.items() if kind != "text"}
    found = [About("shift_over_control", kind, 0.0, drawn).mean(values) for kind, values in differences.items()]
    return [*found, over_every_control(list(differences.values()), drawn)] if found else []


def over_every_control(differences: Sequence[measures.Floats], words: tuple[str, ...]) -> Measure:
    """Return the smallest of the mean differences (n,) to several controls, with an interval that holds for it
    although the control was chosen after looking.

    The lower end is the smallest lower end: the word is above every control when each test says so (intersection-union
    test, Berger 1982). The upper end is the smallest of the upper ends at the level divided by their number.
    """
    plain = [mean_interval(values) for values in differences]
    wide = [mean_interval(values, confidence=1 - 0.05 / len(differences)) for values in differences]
    value, n = min(float(values.mean()) for values in differences), len(differences[0])
    lows, highs = [ends[0] for ends in plain if ends], [ends[1] for ends in wide if ends]
    complete = len(lows) == len(highs) == len(differences)
    low, high = (min(lows), min(highs)) if complete else (None, None)
    return Measure("shift_over_control", EVERY_CONTROL, value, low, high, n, 0.0, words)


def decoded(lab: Lab, features: Features) -> list[Measure]:
    """(b) words (w, n, d) told apart, pair by pair; the interval is over images, each with both its pictures."""
    found = []
    for first in range(0, len(features) - 1, 2):
        right = measures.decodability(features[first], features[first + 1], lab.params.seed)
        pair = lab.params.words[first : first + 2]
        found.append(
            About("decodability", "/".join(pair), 0.5, pair).mean(right.reshape(2, -1).mean(axis=0), (0.0, 1.0))
        )
    return found


def robust(lab: Lab, rows: Ints, features: Features) -> list[Measure]:
    """(d) every image once, under word 0 or 1 as drawn at random; empty where the index is not defined."""
    words = np.random.default_rng([lab.params.seed, 7]).integers(0, 2, size=len(rows))
    mixed, drawn = features[words, np.arange(len(rows))], lab.params.words[:2]
    found = measures.robustness_measure(mixed, lab.codes[rows], words, lab.params.neighbours, lab.params.seed, drawn)
    return [] if found is None else [found]


def correlated_classifier(lab: Lab, features: Features, share: float) -> Classifier:
    """Return the classifier trained on images of which this share bears its class's word.

    `features` (w, n, d) of every image, the training part first, under every word.
    """
    codes = lab.codes[lab.train]
    words = measures.correlated_words(codes, len(features), share, lab.params.seed)
    return fitted(features[words, np.arange(len(codes))], codes, len(lab.classes))


def correlated(lab: Lab, features: Features, models: Mapping[float, Classifier]) -> list[Measure]:
    """(e) accuracy on the hold-out with random, matching and reversed words, for each level in training."""
    codes, found = lab.test_codes, []
    places = len(lab.train) + np.arange(len(lab.test))
    tests = {
        "random": measures.correlated_words(codes, len(features), 1 / len(features), lab.params.seed + 1),
        "matching": codes % len(features),
        "reversed": measures.reversed_words(codes, len(lab.classes), len(features)),
    }
    for level, model in models.items():
        for name, words in tests.items():
            right = correct(model, features[words, places], codes)
            found.append(About(f"accuracy_{name}", level_name(level), words=lab.params.words).share(right))
    return found


def level_name(level: float) -> str:
    """Return a level of correlation as a measure's condition: `0.25`, `0.333`."""
    return f"{level:.3g}"
