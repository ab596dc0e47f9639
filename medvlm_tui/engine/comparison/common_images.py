"""The held-out images that several probes share, and what each probe said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store.store import Store, Stored
from medvlm_tui.engine.comparison.intervals_step import held_groups
from medvlm_tui.engine.step.inputs import AGAIN
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.probe import ProbeRecord

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Predicted:
    """One model's predictions of the common images, classes as indices into `CommonImages.classes`."""

    model: str
    scores: Floats
    """(F, n, k) decision values of the folds' classifiers, -inf for a class that this probe does not have."""
    draws: Mapping[str, Sequence[float]] | None
    """Metric -> each draw's score under `few_shot`, whose draws of training images are part of the chance."""
    final: Ints | None
    """(n,); None under `few_shot`, which fits no final classifier."""


@dataclass(frozen=True, slots=True)
class CommonImages:
    """n held-out images that every probe has, in the order of the first."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    codes: Ints
    """(n,) true classes."""
    groups: Ints | None
    """(n,) under `grouped`: what is drawn together."""
    positive: int | None
    """The positive class of two."""
    models: tuple[Predicted, ...]
    left_out: int
    """Images that the first probe held out and another did not, since it could not read some image."""
    n_train: int
    """Images of the first probe that are not held out."""

    @classmethod
    def of(cls, cells: Sequence[CellInput], store: Store) -> CommonImages:
        """Read the probes of one dataset and protocol; raises MedvlmError when one is gone or no image is common."""
        read = [_read(cell, store) for cell in cells]
        held = [[table.ids[row] for row in probe.arrays["hold_out"].tolist()] for table, probe in read]
        shared = set(held[0]).intersection(*held[1:])
        ids = [image for image in held[0] if image in shared]
        if not ids:
            raise MedvlmError("the models have no held-out image in common", "probe them with the same split")
        first, rows = read[0][1], _positions(held[0], ids)
        classes = tuple(dict.fromkeys(name for _, probe in read for name in probe.record.classes))
        groups = held_groups(first)
        return cls(
            tuple(ids),
            classes,
            _renumbered(first, classes)[first.arrays["labels"][first.arrays["hold_out"]][rows]],
            None if groups is None else groups[rows],
            classes.index(first.record.positive) if first.record.positive else None,
            tuple(
                _predicted(cell.model, probe, _positions(own, ids), classes)
                for cell, (_, probe), own in zip(cells, read, held, strict=True)
            ),
            len(held[0]) - len(ids),
            first.record.n_train,
        )


def _read(cell: CellInput, store: Store) -> tuple[FeatureTable, Stored[ProbeRecord]]:
    table, probe = store.tables.read(cell.table), store.read(cell.probe, PROBE.record)
    if table is None or probe is None:
        raise MedvlmError(f"the probe of {cell.model} on {cell.dataset} is missing or damaged", AGAIN)
    return table, probe


def _positions(held: Sequence[str], ids: Sequence[str]) -> Ints:
    place = {image: position for position, image in enumerate(held)}
    return np.array([place[image] for image in ids], dtype=np.int64)


def _renumbered(probe: Stored[ProbeRecord], classes: Sequence[str]) -> Ints:
    """Return the index into `classes` of each class of the probe."""
    return np.array([classes.index(name) for name in probe.record.classes], dtype=np.int64)


def _predicted(model: str, probe: Stored[ProbeRecord], rows: Ints, classes: Sequence[str]) -> Predicted:
    number = _renumbered(probe, classes)
    known = probe.arrays["scores_test"][:, rows]
    scores = np.full((*known.shape[:2], len(classes)), -np.inf)
    scores[:, :, number] = known
    final = probe.arrays.get("final_predicted")
    return Predicted(model, scores, probe.record.scores_of_draws, None if final is None else number[final[rows]])
