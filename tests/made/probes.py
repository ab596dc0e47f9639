"""Probes of several made models on made data sets in one store, as the plan lays them out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.step.job import AnyJob, CellJob, StepContext, step_function
from medvlm_tui.stages.params.probe import ProbeParams
from medvlm_tui.stages.request import RunRequest
from tests.made.jobs import ENCODER, blobs, table_of


def probes(folder: Path, models, datasets, distance, counts=(60, 50, 40), dim=6, groups=None, protocol="paper"):
    """Return (context, jobs) of every model on every data set, done.

    `models` ModelSpecs; `distance` model index -> how far its classes lie apart; `groups` names of the rows' groups.
    """
    context = StepContext(Store(folder / "store"), lambda: False)
    jobs = []
    for d, dataset in enumerate(datasets):
        for m, model in enumerate(models):
            matrix, codes = blobs(counts, dim, distance(m), seed=d)
            matrix = matrix + np.random.default_rng(m + 1).normal(size=matrix.shape).astype(np.float32) / 3
            key = f"table-{m}-{d}"
            table = table_of(matrix, codes, names=tuple("abcdef"[: len(counts)]))
            context.store.seal(key, replace(table, groups=tuple(groups or ("",) * len(codes))))
            spec = DatasetSpec(dataset, dataset, "MR", "class_folders")
            samples = tuple(Sample(i, folder / i, label) for i, label in zip(table.ids, table.labels, strict=True))
            shown = Dataset(spec, folder, "default", samples, table.classes)
            params = asdict(ProbeParams(protocol))
            step = Step(
                f"probe:{model.id}:{dataset}:{protocol}",
                "probe",
                model.id,
                dataset,
                params,
                f"probe-{m}-{d}-{protocol}",
            )
            job = CellJob(step, RunRequest(), shown, model, Weights("present"), ENCODER, {"extract": key})
            list(step_function("probe")(job, context))
            jobs.append(job)
    return context, jobs


def further_hold_outs(context: StepContext, jobs, seeds) -> dict[str, list[Step]]:
    """Return the id of each probe's step -> its steps under further seeds, done."""
    found: dict[str, list[Step]] = {}
    for job in jobs:
        for seed in seeds:
            params = {**job.step.params, "split": {**job.step.params["split"], "seed": seed}}
            step_id = job.step.id.replace("probe", "repeat", 1) + f":{seed}"
            step = replace(job.step, id=step_id, kind="repeat", params=params, key=f"{job.step.key}-{seed}")
            list(step_function("repeat")(replace(job, step=step), context))
            found.setdefault(job.step.id, []).append(step)
    return found


def done(job: AnyJob, context: StepContext):
    """Do a job; return (record, events)."""
    events = list(step_function(job.step.kind)(job, context))
    result = context.store.result(job.step.key)
    assert result is not None
    return result.record, events
