"""The jobs that a stage drafts over jobs that a test has made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from medvlm_tui.catalog.traits import traits_of
from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.run.gathered_steps import gathered_key
from medvlm_tui.engine.step.job import CellJob, DatasetJob, RunJob
from medvlm_tui.stages.stage import Draft, PlannedCell, Scope, Stage, View


def gathering_jobs(
    stage: Stage, jobs: Iterable[CellJob], store: Store, further: Mapping[str, Sequence[Step]] | None = None
) -> Iterator[DatasetJob | RunJob]:
    """Yield the jobs of a stage that compares the cells of `jobs`, dataset by dataset where that is its scope.

    `further`: id of a probe's step -> its steps on further hold-outs.
    """
    jobs = list(jobs)
    protocols = tuple(dict.fromkeys(job.step.params.get("protocol", "") for job in jobs))
    request = replace(jobs[0].request, protocols=protocols)
    names = dict.fromkeys(job.step.dataset for job in jobs) if stage.scope is Scope.DATASET else ("",)
    for name in names:
        more = further or {}
        cells = [_cell(job, more.get(job.step.id, ())) for job in jobs if name in ("", job.step.dataset)]
        for draft in stage.drafts(View(request, cells, name)):
            if not isinstance(draft, Draft):
                continue
            step_id = ":".join(filter(None, (stage.kind, "*", name or "*", draft.detail)))
            key = gathered_key(stage, draft.params)
            step = Step(step_id, stage.kind, "", name, draft.params, key, draft.reads, store.has_result(key))
            yield RunJob(step, request) if stage.scope is Scope.RUN else DatasetJob(step, request, cells[0].dataset)


def _cell(job: CellJob, further: Sequence[Step]) -> PlannedCell:
    extract = Step("extract", "extract", job.step.model, job.step.dataset, key=job.inputs.get("extract", "table"))
    traits = traits_of(job.model, job.dataset.spec)
    return PlannedCell(job.model, job.dataset, job.encoder, {}, traits, steps=[extract, job.step, *further])
