"""Measures of the bias lab that need features alone: shift, flips, decodability, neighbourhoods, correlated words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medvlm_tui.engine.bias import measures
from medvlm_tui.engine.bias.lab import Features, Ints, Lab
from medvlm_tui.engine.bias.measures import Measure, mean_measure
from medvlm_tui.engine.probe.classifier import Classifier


def moved(lab: Lab, before: Features, after: Features, kind: str) -> list[Measure]:
    """(a) shift and (c) flips of one overlay, and the accuracy under it."""
    flipped = measures.flips(lab.classifier, before, after)
    right = measures.correct(lab.classifier, after, lab.test_codes)
    return [
        mean_measure("shift", kind, measures.shift(before, after), lab.params.seed),
        mean_measure("flip_rate", kind, flipped, lab.params.seed),
        mean_measure("accuracy_with", kind, right, lab.params.seed),
    ]


def against_controls(lab: Lab, before: Features, after: Mapping[str, Features]) -> list[Measure]:
    """(a) how much further the word moves each image than a control of its ink does: paired differences."""
    word = measures.shift(before, after["text"])
    return [
        mean_measure("shift_over_control", kind, word - measures.shift(before, features), lab.params.seed, chance=0.0)
        for kind, features in after.items()
        if kind != "text"
    ]


def decoded(lab: Lab, features: Features) -> list[Measure]:
    """(b) words (w, n, d) told apart, pair by pair; the interval is over images, each with both its pictures."""
    found = []
    for first in range(0, len(features) - 1, 2):
        right = measures.decodability(features[first], features[first + 1], lab.params.seed)
        name = f"{lab.params.words[first]}/{lab.params.words[first + 1]}"
        found.append(mean_measure("decodability", name, right.reshape(2, -1).mean(axis=0), lab.params.seed, chance=0.5))
    return found


def robust(lab: Lab, rows: Ints, features: Features) -> Measure:
    """(d) with words 0 and 1 drawn at random."""
    words = np.random.default_rng([lab.params.seed, 7]).integers(0, 2, size=len(rows))
    mixed = features[words, np.arange(len(rows))]
    return measures.robustness_measure(mixed, lab.codes[rows], words, lab.params.neighbours, lab.params.seed)


def correlated_classifier(lab: Lab, features: Features, share: float) -> Classifier:
    """Return the classifier trained on images whose word is their class's with probability `share`.

    `features` (w, n, d) of every image, the training part first, under every word.
    """
    codes = lab.codes[lab.train]
    words = measures.correlated_words(codes, len(features), share, lab.params.seed)
    return measures.fitted(features[words, np.arange(len(codes))], codes, len(lab.classes))


def correlated(lab: Lab, features: Features, models: Mapping[float, Classifier]) -> list[Measure]:
    """(e) accuracy on the hold-out with random, matching and reversed words, for each level in training."""
    codes, found = lab.test_codes, []
    places = len(lab.train) + np.arange(len(lab.test))
    tests = {
        "random": measures.correlated_words(codes, len(features), 0.0, lab.params.seed + 1),
        "matching": codes % len(features),
        "reversed": measures.reversed_words(codes, len(features)),
    }
    for level, model in models.items():
        for name, words in tests.items():
            right = measures.correct(model, features[words, places], codes)
            found.append(mean_measure(f"accuracy_{name}", f"{level:g}", right, lab.params.seed))
    return found
