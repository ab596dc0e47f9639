"""A run whose jobs an executor does that is no process: the runner knows the protocol alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from medvlm_tui.core.events import Event, FileWritten, ResultReady, RunFinished, StepFailed, StepSkipped
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.planner import Prepared, lay_out
from medvlm_tui.engine.run.runner import RunContext, run
from medvlm_tui.engine.step.job import AnyJob
from medvlm_tui.errors import Cancelled, MedvlmError
from tests.engine.run.test_pinned_keys import plain


@dataclass
class Notes:
    """An executor that notes its jobs; those of `fails` fail."""

    fails: str = ""
    ends_at: int = 1000
    done: list[AnyJob] = field(default_factory=list)

    def run(self, job: AnyJob, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Note the job."""
        if cancelled():
            raise Cancelled("cancelled", "")
        self.done.append(job)
        if job.step.id == self.fails:
            raise MedvlmError("no memory", "a smaller batch")
        yield ResultReady(job.step.id, job.step.kind, job.step.key)

    def kill(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[tuple[Prepared, Store]]:
    with Store(tmp_path / "store") as store:
        asked = replace(plain(tmp_path), stages=("extract", "probe", "statistics", "report"), datasets=("folders",))
        yield lay_out(asked, Workspace(tmp_path), store, ""), store


def events(prepared: Prepared, store: Store, executor: Notes) -> list[Event]:
    def report(*_: object) -> Iterator[FileWritten]:
        yield FileWritten("results.csv", "table")

    context = RunContext(store, executor, lambda: len(executor.done) >= executor.ends_at, report, "out", Path("log"))
    return list(run(prepared, context))


def test_every_job_is_handed_over_in_the_order_of_the_plan(prepared: tuple[Prepared, Store]) -> None:
    plan, executor = prepared[0].plan, Notes()
    last = events(*prepared, executor)[-1]
    assert [job.step.id for job in executor.done] == [step.id for step in plan.steps if step.kind != "report"]
    assert isinstance(last, RunFinished)
    assert (last.done, last.failed, last.skipped) == (len(plan.steps), 0, 0)


def test_a_failed_job_costs_what_reads_it_and_narrows_what_compares(prepared: tuple[Prepared, Store]) -> None:
    executor = Notes(fails="extract:vgg16:folders")
    said = events(*prepared, executor)
    assert [event.step for event in said if isinstance(event, StepFailed)] == ["extract:vgg16:folders"]
    skipped = {event.step for event in said if isinstance(event, StepSkipped)}
    assert skipped
    assert all(":vgg16:" in step for step in skipped)
    (pairs,) = [job for job in executor.done if job.step.kind == "pairs"]
    assert [cell["model"] for cell in pairs.step.params["cells"]] == ["clip_b16", "biomedclip"]
    assert pairs.step.key != prepared[0].jobs[pairs.step.id].step.key


def test_nothing_is_handed_over_after_a_cancel(prepared: tuple[Prepared, Store]) -> None:
    executor = Notes(ends_at=2)
    said = events(*prepared, executor)
    assert len(executor.done) == 2
    assert {event.reason for event in said if isinstance(event, StepSkipped)} == {"cancelled"}
