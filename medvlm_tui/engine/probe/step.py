"""The study's classification: hold-out, the protocol asked for, metrics with their own spreads."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace

import numpy as np

from medvlm_tui.core.counts import counted
from medvlm_tui.core.events import Event, Log, ResultReady
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.probe import few_shot, knn
from medvlm_tui.engine.probe import folds as cv
from medvlm_tui.engine.probe import linear as linear_probe
from medvlm_tui.engine.probe.protocol import Measure, Measured, Task
from medvlm_tui.engine.probe.solver.choice import Solver
from medvlm_tui.engine.probe.split import divide, short_folds
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.inputs import Labelled, feature_table, probe_params
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import DatasetError, MedvlmError, UsageError
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.protocols import LINEAR_PROTOCOLS
from medvlm_tui.stages.records.probe import ProbeRecord, ProtocolRecord

MEASURES: Mapping[str, Measure] = {
    **dict.fromkeys(LINEAR_PROTOCOLS, linear_probe.measure),
    "knn": knn.measure,
    "few_shot": few_shot.measure,
}


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Fit and score the classifiers of one model on one dataset; raises MedvlmError on unusable features."""
    begun = time.monotonic()
    params = probe_params(job.step.params)
    if params.protocol not in MEASURES:
        raise UsageError(f"unknown protocol {params.protocol}", f"choose from {', '.join(MEASURES)}")
    table = feature_table(job, context)
    labelled = _labelled(table, job)
    problem = cv.Problem(np.asarray(table.matrix), labelled.codes, len(labelled.classes))
    noted = constant_columns(problem, job.step.model, job.step.dataset)
    for note in noted:
        yield Log("warning", f"{job.step.model} on {job.step.dataset}: {note}")
    division = yield from divide(table, params, job, context)
    positive = positive_index(labelled.classes, job.dataset.spec.positive)
    solver = _solver(job, context)
    task = Task(problem, division.rows, params, positive, labelled.classes, job.step.id, solver)
    measured = yield from MEASURES[params.protocol](task)
    if solver.note:
        yield Log("warning", f"{job.step.model} on {job.step.dataset}: {solver.note}")
    noted += short_folds(division.rows, labelled.codes, labelled.classes)
    record = replace(
        record_of(task, measured, [*_warnings(table, job, task.classes), *noted]),
        label_view=job.dataset.view,
        grouping=division.record(),
        seconds=time.monotonic() - begun,
    )
    groups = {} if division.groups is None else {"group": division.groups}
    context.store.put_result(job.step.key, {**measured.arrays, **groups}, record)
    shown = PROBE.summary(record)
    yield ResultReady(job.step.id, "probe", job.step.key, job.step.model, job.step.dataset, shown)


def record_of(task: Task, measured: Measured, noted: Sequence[str]) -> ProbeRecord:
    """Return the record of a probe, but for the groups of its split, the label view and the time it took."""
    split, solver = task.params.split, task.solver
    return ProbeRecord(
        **{each.name: getattr(measured.record, each.name) for each in fields(ProtocolRecord)},
        classes=task.classes,
        protocol=task.params.protocol,
        label_view="",
        d=int(task.problem.features.shape[1]),
        positive="" if task.positive is None else task.classes[task.positive],
        seed=split.seed,
        split=split,
        n_train=len(task.pool),
        n_test=len(task.truth),
        warnings=(*noted, *measured.warnings, *filter(None, [solver.note])),
        solved_on=tuple(sorted(solver.used)),
        versions=versions("numpy", "scipy", "scikit-learn", *(() if solver.used <= {"cpu"} else ("torch",))),
    )


def _solver(job: CellJob, context: StepContext) -> Solver:
    """Return a solver on the job's device; the SVM is solved in float64, at 1/32 or 1/64 of many GPUs' float32 rate."""
    machine = devices.choose(job.request.device)
    return Solver(context.check, machine.device if machine.fast_float64 else "cpu")


def _labelled(table: FeatureTable, job: CellJob) -> Labelled:
    labelled = Labelled.of(table, job.dataset.classes)
    if len(labelled.classes) < 2:
        raise DatasetError(
            f"{job.step.dataset} has only one class ({labelled.classes[0]}): there is nothing to tell apart",
            "choose another label view, or add images of a second class",
        )
    return labelled


def constant_columns(problem: cv.Problem, model: str, dataset: str) -> list[str]:
    """Return a sentence on the dimensions that carry nothing; raises MedvlmError when none carries anything."""
    dim = problem.features.shape[1]
    constant = int((problem.features == problem.features[0]).all(axis=0).sum())
    if constant == dim:
        raise MedvlmError(
            f"{model} gives the same features for every image of {dataset}",
            "look at the images and at the model's weights: nothing can be told apart by them",
        )
    if constant:
        return [f"{constant} of {dim} features are the same for every image and take no part"]
    return []


def positive_index(classes: Sequence[str], named: str) -> int | None:
    """Return the positive class of two: the one the dataset names, else the last; None with more classes."""
    if len(classes) != 2:
        return None
    return classes.index(named) if named in classes else 1


def _warnings(table: FeatureTable, job: CellJob, classes: Sequence[str]) -> list[str]:
    notes = list(job.dataset.warnings)
    missing = [name for name in (table.classes or job.dataset.classes) if name not in classes]
    if missing:
        notes.append(f"no readable image of {', '.join(missing)}: left out of the classes")
    if table.failed:
        notes.append(f"{counted(len(table.failed), 'image')} could not be read and left out")
    return notes
