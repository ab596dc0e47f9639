"""Effects of a change on features and decisions, from features alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.bench.measures import About, correct, fitted, flips, shift
from medvlm_tui.engine.features.neighbours import unit_rows
from medvlm_tui.engine.probe.classifier import Classifier
from medvlm_tui.measures.intervals import median_interval
from medvlm_tui.stages.records.measure import Measure
from medvlm_tui.stages.records.preprocessing import DEFAULT

Floats = NDArray[np.float64]
Features = NDArray[np.floating]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
SAME = 1e-5
"""Cosine distance up to which two images of a dataset are the same picture."""


@dataclass(frozen=True, slots=True)
class Way:
    """Features of the lab's images by one way of preprocessing, with the classifier trained on them."""

    train: Features
    """(n_train, d)"""
    test: Features
    """(n_test, d)"""
    classifier: Classifier

    @classmethod
    def of(cls, features: Features, codes: Ints, n_train: int, n_classes: int, t: float) -> Way:
        """Fit the classifier to the first `n_train` of the features (n, d)."""
        model = fitted(features[:n_train], codes[:n_train], n_classes, t)
        return cls(features[:n_train], features[n_train:], model)


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Distances of each unchanged hold-out image to the other unchanged images of the lab."""

    plain: Features
    """(n, d) of every unchanged image, the training part first."""
    own: Ints
    """(n_test,) the position of each hold-out image in `plain`."""
    nearest: Floats
    """(n_test,) cosine distance to the nearest other image."""
    single: Flags
    """(n_test,) whether no other image is the same picture."""

    @classmethod
    def of(cls, plain: Way) -> Neighbourhood:
        """Measure the distances between the unchanged images."""
        every = np.concatenate([plain.train, plain.test])
        own = len(plain.train) + np.arange(len(plain.test))
        distances = _distances(plain.test, every)
        distances[np.arange(len(own)), own] = np.inf
        nearest = distances.min(axis=1)
        return cls(every, own, nearest, nearest > SAME)


def of_default(plain: Way, codes: Ints, chance: float) -> Measure:
    """Return the accuracy of the lab's own classifier on unchanged images."""
    return About("accuracy", DEFAULT, chance).share(correct(plain.classifier, plain.test, codes))


def of_change(
    name: str, plain: Way, other: Way, around: Neighbourhood, codes: Ints, chance: float
) -> tuple[tuple[Measure, ...], Flags, Flags]:
    """Return the measures of a change, and whether each image is right retrained and transferred, both (n_test,).

    `codes` (n_test,) are the classes. Retrained: trained and tested under the change. Transfer: trained on unchanged
    images, tested under the change; reverse the other way round.
    """
    at_home = correct(plain.classifier, plain.test, codes)
    retrained = correct(other.classifier, other.test, codes)
    transfer = correct(plain.classifier, other.test, codes)
    reverse = correct(other.classifier, plain.test, codes)
    found = [
        About("shift", name).mean(shift(plain.test, other.test)),
        *_among_neighbours(name, other.test, around),
        About("flip_rate", name).share(flips(plain.classifier, plain.test, other.test)),
        About("accuracy_retrained", name, chance).share(retrained),
        About("accuracy_transfer", name, chance).share(transfer),
        About("accuracy_reverse", name, chance).share(reverse),
        About("loss_of_information", name, 0.0).mean(at_home.astype(np.float64) - retrained),
        About("loss_of_fit", name, 0.0).mean(retrained.astype(np.float64) - transfer),
    ]
    return tuple(found), retrained, transfer


def _among_neighbours(name: str, after: Features, around: Neighbourhood) -> list[Measure]:
    """Return how far the changed images lie from themselves against their nearest neighbour, and how many are still
    nearest to themselves, over images without a twin."""
    if not around.single.any():
        return []
    distances = _distances(after[around.single], around.plain)
    own = around.own[around.single]
    moved = distances[np.arange(len(own)), own]
    ratio = np.asarray(moved / around.nearest[around.single], dtype=np.float64)
    low, high = median_interval(ratio) or (None, None)
    found = Measure("shift_over_nearest", name, float(np.median(ratio)), low, high, len(ratio), 0.0)
    return [found, About("match1", name, 1 / len(around.plain)).share(distances.argmin(axis=1) == own)]


def _distances(first: Features, second: Features) -> Floats:
    """Return cosine distances (n, m)."""
    units = unit_rows(first).astype(np.float64), unit_rows(second).astype(np.float64)
    return np.asarray(np.clip(1.0 - units[0] @ units[1].T, 0.0, 2.0))
