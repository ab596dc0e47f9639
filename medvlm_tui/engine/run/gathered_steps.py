"""Steps that read many others: the maps of a grid, all models on one dataset, a whole run; and what is left of one
when some of those fail."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from medvlm_tui.catalog.traits import traits_of
from medvlm_tui.core.digests import of_record
from medvlm_tui.core.plan import Step
from medvlm_tui.core.request import ComparisonParams
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.step.job import STEP_VERSIONS, Job

# Kind -> the parameter that lists what it reads, one entry for each of its needs, and how few of those say something.
GATHERING: Mapping[str, tuple[str, int]] = {
    "pairs": ("cells", 2),
    "ranking": ("cells", 2),
    "bias_groups": ("cells", 2),
    "grid": ("maps", 1),
    "similarity": ("tables", 2),
}
# A comparison of one cell says nothing.
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class CellInput:
    """One cell that a gathering step reads: its probe, or what stands on it."""

    model: str
    dataset: str
    table: str
    """Key of the feature table."""
    probe: str
    """Key of the probe's result; in `bias_groups` of the bias lab's."""
    traits: Mapping[str, bool | None]
    """Which groups of models this one belongs to on this dataset; None: no part in the comparison."""

    @classmethod
    def all_of(cls, params: Mapping[str, Any]) -> tuple[CellInput, ...]:
        """Return the cells in a step's parameters."""
        return tuple(cls(**cell) for cell in params["cells"])


def gathered_key(kind: str, params: Mapping[str, Any]) -> str:
    """Return the key of a gathering step: its parameters name every result that it reads."""
    return of_record([kind, STEP_VERSIONS[kind], dict(params)])


def tables_of(step: Step) -> tuple[str, ...]:
    """Return the keys of the feature tables behind a gathering step, none for any other."""
    if step.kind == "similarity":
        return tuple(table["table"] for table in step.params["tables"])
    return (
        tuple(cell.table for cell in CellInput.all_of(step.params))
        if GATHERING.get(step.kind, ("", 0))[0] == "cells"
        else ()
    )


def without(step: Step, missed: Collection[str]) -> Step:
    """Return a gathering step on what has a result, under the key of that.

    The step itself where nothing is missed, where it is of another kind, or where too little is left to say something
    (it is then skipped like any other that lacks its input).
    """
    if step.kind not in GATHERING or not set(step.needs) & set(missed):
        return step
    name, fewest = GATHERING[step.kind]
    kept = [index for index, need in enumerate(step.needs) if need not in missed]
    if len(kept) < fewest:
        return step
    params = {**step.params, name: [step.params[name][index] for index in kept]}
    key = gathered_key(step.kind, params)
    return replace(step, params=params, needs=tuple(step.needs[index] for index in kept), key=key)


def comparisons(probes: Iterable[Job], store: Store) -> Iterator[Job]:
    """Yield the jobs that compare models: on each dataset, then over all of them, for each protocol apart."""
    done = [job for job in probes if job.step.kind == "probe"]
    for protocol in dict.fromkeys(job.step.params["protocol"] for job in done):
        same = [job for job in done if job.step.params["protocol"] == protocol]
        for dataset in dict.fromkeys(job.step.dataset for job in same):
            here = [job for job in same if job.step.dataset == dataset]
            if len(here) >= _FEWEST:
                yield _job(f"pairs:*:{dataset}:{protocol}", here, dataset, store)
        if len({job.step.model for job in same}) >= _FEWEST and len({job.step.dataset for job in same}) >= _FEWEST:
            yield _job(f"ranking:*:*:{protocol}", same, "", store)


def bias_comparison(jobs: Iterable[Job], store: Store) -> Job | None:
    """Return the job that ranks models by the bias lab and compares groups of them; None below two models."""
    labs = [job for job in jobs if job.step.kind == "bias"]
    if len({job.step.model for job in labs}) < _FEWEST:
        return None
    return _gathered("bias_groups:*:*", labs, "", {"seed": labs[0].request.seed}, store)


def _job(step_id: str, probes: Sequence[Job], dataset: str, store: Store) -> Job:
    first = probes[0]
    params = {**asdict(ComparisonParams(seed=first.request.seed)), "protocol": first.step.params["protocol"]}
    return _gathered(step_id, probes, dataset, params, store)


def _gathered(step_id: str, jobs: Sequence[Job], dataset: str, params: Mapping[str, Any], store: Store) -> Job:
    """Return a job on several others; model and encoder are the first one's and mean nothing."""
    kind = step_id.partition(":")[0]
    cells = [
        CellInput(
            job.step.model,
            job.step.dataset,
            job.inputs["extract"],
            job.step.key,
            traits_of(job.model, job.dataset.spec),
        )
        for job in jobs
    ]
    params = {**params, "cells": [asdict(cell) for cell in cells]}
    key = gathered_key(kind, params)
    step = Step(step_id, kind, "", dataset, params, key, tuple(job.step.id for job in jobs), store.has_result(key))
    return replace(jobs[0], step=step, inputs={})
