"""Measures of every experiment of the bench: distances to the unchanged image, flips, accuracy with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.features.neighbours import distance_blocks, unit_rows
from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.probe.solver import svm
from medvlm_tui.measures.intervals import mean_interval, share_interval
from medvlm_tui.stages.records.measure import Measure

Floats = NDArray[np.float64]
Features = NDArray[np.floating]
Ints = NDArray[np.int64]
# As in the probe's middle: C = t d / N with t = 1.
_T = 1.0


@dataclass(frozen=True, slots=True)
class About:
    """Description of a number: every field of a Measure but the number and its interval."""

    name: str
    condition: str
    chance: float | None = None
    words: tuple[str, ...] = ()

    def share(self, right: NDArray[np.bool_]) -> Measure:
        """Return the share of images that are right, with Wilson's interval."""
        return self._with(right, share_interval(float(right.sum()), len(right)))

    def mean(self, values: NDArray[np.floating], bounds: tuple[float, float] | None = None) -> Measure:
        """Return the mean of one value per image, with a score interval where values have bounds, else Student's."""
        return self._with(values, mean_interval(np.asarray(values, dtype=np.float64), bounds))

    def _with(self, values: NDArray[Any], interval: tuple[float, float] | None) -> Measure:
        low, high = interval or (None, None)
        value = float(values.mean())
        return Measure(self.name, self.condition, value, low, high, len(values), self.chance, self.words)


def median_distance(features: Features) -> float:
    """Return the median cosine distance between different images."""
    units = unit_rows(features)
    parts = [
        block[np.arange(len(block))[:, None] + start < np.arange(len(units))] for start, block in distance_blocks(units)
    ]
    return float(np.median(np.concatenate(parts)))


def shift(before: Features, after: Features) -> Floats:
    """Return (n,) the cosine distance of each image to itself with an overlay, over the median between images (a)."""
    distance = 1.0 - (unit_rows(before).astype(np.float64) * unit_rows(after)).sum(axis=1)
    return np.asarray(np.clip(distance, 0.0, 2.0) / max(median_distance(before), 1e-12))


def fitted(features: Features, codes: Ints, n_classes: int, t: float = _T) -> Classifier:
    """Return scaler and SVM fitted to features (n, d), as the probe fits its final classifier: C = t d / n."""
    scaler = Scaler.fit(np.asarray(features, dtype=np.float64))
    cost = t * features.shape[1] / len(features)
    path = svm.solve_path(scaler.apply(features), codes, n_classes, [cost])
    return Classifier(scaler, path.coef[0], path.intercept[0])


def flips(classifier: Classifier, before: Features, after: Features) -> NDArray[np.bool_]:
    """Return (n,) whether the predicted class changes with the overlay (c)."""
    return np.asarray(classifier.scores(before).argmax(axis=1) != classifier.scores(after).argmax(axis=1))


def correct(classifier: Classifier, features: Features, codes: Ints) -> NDArray[np.bool_]:
    """Return (n,) whether each image is classified right."""
    return np.asarray(classifier.scores(features).argmax(axis=1) == codes)
