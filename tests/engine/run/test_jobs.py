"""The jobs of a plan: each has what its stage's scope gives it, and nothing else."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.engine.step.job import CellJob, CheckJob, DatasetJob, RunJob
from medvlm_tui.stages import stage_of
from medvlm_tui.stages.stage import Scope
from tests.engine.run.test_pinned_keys import plain

OF_SCOPE = {Scope.FILES: CheckJob, Scope.CELL: CellJob, Scope.DATASET: DatasetJob, Scope.RUN: RunJob}


def test_every_step_has_the_job_of_its_scope(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        prepared = lay_out(plain(tmp_path), Workspace(tmp_path), store, "")
    steps = {step.id: step for step in prepared.plan.steps if not step.blocked and step.kind != "report"}
    assert set(prepared.jobs) == set(steps)
    scopes = set()
    for step_id, job in prepared.jobs.items():
        scope = stage_of(steps[step_id].kind).scope
        scopes.add(scope)
        assert type(job) is OF_SCOPE[scope], step_id
        assert job.step == steps[step_id]
        if isinstance(job, DatasetJob):
            assert job.dataset.spec.id == job.step.dataset
    assert scopes == set(OF_SCOPE)


def test_a_job_on_several_models_names_none() -> None:
    for several in (DatasetJob, RunJob):
        assert not {"model", "weights", "encoder", "inputs", "groups"} & {field.name for field in fields(several)}
    assert "dataset" not in {field.name for field in fields(RunJob)}
