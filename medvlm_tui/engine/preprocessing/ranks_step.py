"""The preprocessing lab over models: whether their order survives a change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.store.store import Stored
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.step.inputs import AGAIN
from medvlm_tui.engine.step.job import RunJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.many_models.rank_agreement import FEWEST_MODELS, rank_agreement
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.preprocessing import PREPROCESSING, PREPROCESSING_RANKS
from medvlm_tui.stages.records.preprocessing import (
    ChangeRanks,
    DatasetRanks,
    PreprocessingRanksRecord,
    PreprocessingRecord,
)

Lab = Stored[PreprocessingRecord]
Flags = NDArray[np.bool_]
_WAYS = ("retrained", "transfer")


def run(job: RunJob, context: StepContext) -> Iterator[Event]:
    """Compare the models of each dataset under each change; raises MedvlmError when a lab's result is gone."""
    begun, seed = time.monotonic(), int(job.step.params["seed"])
    labs: dict[str, dict[str, Lab]] = {}
    for cell in CellInput.all_of(job.step.params):
        labs.setdefault(cell.dataset, {})[cell.model] = _lab(cell, context)
    found = []
    for dataset, of_models in labs.items():
        context.check()
        found.append(_ranks(dataset, of_models, seed))
    record = PreprocessingRanksRecord(
        datasets=tuple(found), seed=seed, versions=versions("numpy"), seconds=time.monotonic() - begun
    )
    context.store.put_result(job.step.key, {}, record)
    shown = PREPROCESSING_RANKS.summary(record)
    yield ResultReady(job.step.id, "preprocessing_ranks", job.step.key, summary=shown)


def _lab(cell: CellInput, context: StepContext) -> Lab:
    found = context.store.read(cell.probe, PREPROCESSING.record)
    if found is None:
        raise MedvlmError(f"the preprocessing lab of {cell.model} on {cell.dataset} is missing or damaged", AGAIN)
    return found


def _ranks(dataset: str, labs: dict[str, Lab], seed: int) -> DatasetRanks:
    models, several = tuple(labs), list(labs.values())
    shared = [name for name in several[0].record.images if all(name in lab.record.images for lab in several)]
    places = [[lab.record.images.index(name) for name in shared] for lab in several]
    plain = _right(several, places, "transfer", [0] * len(several))
    unchanged = tuple(float(row.mean()) for row in plain) if shared else (0.0,) * len(models)
    few = f"{len(models)} models have no order that could be kept in part: {FEWEST_MODELS} have"
    note = few if len(models) < FEWEST_MODELS else "" if shared else "the models share no hold-out image"
    changes = () if note else tuple(_changes(several, places, plain, seed))
    return DatasetRanks(dataset=dataset, models=models, unchanged=unchanged, n=len(shared), changes=changes, note=note)


def _changes(labs: Sequence[Lab], places: list[list[int]], plain: Flags, seed: int) -> Iterator[ChangeRanks]:
    for name in labs[0].record.measured:
        if not all(name in lab.record.measured for lab in labs):
            continue
        rows = [1 + lab.record.measured.index(name) for lab in labs]
        for way in _WAYS:
            right = _right(labs, places, way, rows)
            found = rank_agreement(plain, right, seed)
            yield ChangeRanks(
                change=name, way=way, accuracies=tuple(float(row.mean()) for row in right), tau=found.tau,
                low=found.low, high=found.high, reversed_pairs=found.reversed_pairs,
            )  # fmt: skip


def _right(labs: Sequence[Lab], places: list[list[int]], way: str, rows: Sequence[int]) -> Flags:
    """Return (models, images) whether each shared image is classified right, under one change of each lab."""
    return np.stack([lab.arrays[way][row][at] for lab, row, at in zip(labs, rows, places, strict=True)]).astype(bool)
