"""Arrays that fit the example of a stage's record, for tests that store it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.stages.records.bias import BiasRecord

SIDE = 32
Arrays = dict[str, NDArray[np.generic]]


def bias_arrays(record: BiasRecord, rng: np.random.Generator) -> Arrays:
    """Return what the lab stores beside this record: the flipped images are those whose highest score moves."""
    kinds, n, k = len(record.kinds), len(record.images), len(record.classes)
    scores = np.zeros((1 + kinds, n, k), np.float32)
    labels = np.arange(n) % k
    scores[:, np.arange(n), labels] = 1.0
    for number, kind in enumerate(record.kinds):
        flipped = list(record.flipped[kind])
        scores[1 + number, flipped, (labels[flipped] - 1) % k] = 2.0
    return {
        "shifts": np.round(0.1 * (1 + np.arange(n)) * np.array([[0.1**kind] for kind in range(kinds)]), 6),
        "scores": scores,
        "labels": labels.astype(np.int16),
        "pictures": rng.integers(0, 255, (len(record.shown), 1 + kinds, SIDE, SIDE, 3), dtype=np.uint8),
        "boxes": np.array([[2, 20, 20, 28]] * len(record.shown), np.int32),
        "map_images": rng.integers(0, 255, (len(record.map_items), SIDE, SIDE, 3), dtype=np.uint8),
        "map_boxes": np.array([[2, 20, 18, 26]] * len(record.map_items), np.int32),
        "maps": rng.normal(size=(len(record.map_items), len(record.map_levels), SIDE, SIDE)).astype(np.float32),
    }
