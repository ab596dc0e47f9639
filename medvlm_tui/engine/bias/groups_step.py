"""The bias lab over models: who is moved most by words, and whether medical models are moved more than general ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.comparison.group_records import group_records
from medvlm_tui.engine.step.inputs import AGAIN
from medvlm_tui.engine.step.job import RunJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.paired_tests import holm
from medvlm_tui.stages.bias import BIAS, BIAS_GROUPS
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.records.bias import (
    EVERY_CONTROL,
    BiasGroupRecord,
    BiasGroupsRecord,
    BiasRanking,
    MeanRecord,
)
from medvlm_tui.stages.records.comparison import GroupRecord

# Named in advance, for every run: how much further the word moves features than every control of its ink does, medical
# models against general ones.
PRIMARY = ("shift_over_control", EVERY_CONTROL, "medical")
Floats = NDArray[np.float64]
Measured = Mapping[tuple[str, str], float]


def run(job: RunJob, context: StepContext) -> Iterator[Event]:
    """Rank the models by every measure and test groups of them (g); raises MedvlmError when a lab's result is gone."""
    begun = time.monotonic()
    cells = CellInput.all_of(job.step.params)
    found = [_measured(cell, context) for cell in cells]
    models = list(dict.fromkeys(cell.model for cell in cells))
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    traits_of = {(cell.dataset, cell.model): cell.traits for cell in cells}
    traits = [[traits_of.get((dataset, model), {}) for model in models] for dataset in datasets]
    rankings: list[BiasRanking] = []
    groups: list[BiasGroupRecord] = []
    for name, condition in dict.fromkeys(key for one in found for key in one):
        context.check()
        scores = np.full((len(datasets), len(models)), np.nan)
        for cell, one in zip(cells, found, strict=True):
            value = one.get((name, condition), np.nan)
            scores[datasets.index(cell.dataset), models.index(cell.model)] = value
        rankings.append(BiasRanking(measure=name, condition=condition, models=_ranked(models, scores)))
        tests = group_records(name, scores, traits, int(job.step.params["seed"]))
        groups += [_group_record(test, condition) for test in tests]
    record = BiasGroupsRecord(
        models=tuple(models),
        datasets=tuple(datasets),
        rankings=tuple(rankings),
        groups=adjusted_together(groups),
        seed=job.step.params["seed"],
        versions=versions("numpy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    shown = BIAS_GROUPS.summary(record)
    yield ResultReady(job.step.id, "bias_groups", job.step.key, summary=shown)


def adjusted_together(tests: Sequence[BiasGroupRecord]) -> tuple[BiasGroupRecord, ...]:
    """Return the tests with `primary` and with `holm`: the primary test is a family of its own and keeps its p-value,
    all the others, of every measure and every trait, are adjusted together by Holm's method."""
    primary = [(test.measure, test.condition, test.trait) == PRIMARY for test in tests]
    rest = iter(holm([test.p_value for test, first in zip(tests, primary, strict=True) if not first]))
    return tuple(
        replace(test, primary=first, holm=test.p_value if first else next(rest))
        for test, first in zip(tests, primary, strict=True)
    )


def _measured(cell: CellInput, context: StepContext) -> Measured:
    record = context.store.read_record(cell.probe, BIAS.record)
    if record is None:
        raise MedvlmError(f"the bias lab's result of {cell.model} on {cell.dataset} is missing or damaged", AGAIN)
    return {key: measure.value for key, measure in record.by_name.items()}


def _ranked(models: Sequence[str], scores: Floats) -> tuple[MeanRecord, ...]:
    """Return the models that have the measure on every dataset, the largest mean first."""
    complete = np.flatnonzero(~np.isnan(scores).any(axis=0))
    means = scores[:, complete].mean(axis=0)
    order = np.argsort(-means, kind="stable")
    return tuple(MeanRecord(model=models[complete[i]], mean=float(means[i])) for i in order)


def _group_record(test: GroupRecord, condition: str) -> BiasGroupRecord:
    values = asdict(test)
    return BiasGroupRecord(measure=values.pop("metric"), condition=condition, **values)
