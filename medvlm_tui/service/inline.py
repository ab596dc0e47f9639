"""The engine in this process: what `--batch` calls and what the server wraps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from medvlm_tui.core.events import Event, FileWritten, Log, ResultReady, Survey, to_json
from medvlm_tui.core.latest import LatestResults
from medvlm_tui.core.logs import log_to
from medvlm_tui.core.params import RunRequest
from medvlm_tui.core.store import Store
from medvlm_tui.core.workspace import Workspace
from medvlm_tui.engine.gathering import tables_of
from medvlm_tui.engine.inputs import Say
from medvlm_tui.engine.planner import Prepared, prepare
from medvlm_tui.engine.runner import Outcome, RunContext, run
from medvlm_tui.engine.steps import Job
from medvlm_tui.engine.survey import survey
from medvlm_tui.engine.versions import versions
from medvlm_tui.engine.worker import Worker

_VERSIONED = (
    "torch", "torchvision", "transformers", "timm", "open_clip_torch", "scikit-learn", "umap-learn", "numpy", "scipy",
    "Pillow", "matplotlib", "diskcache", "safetensors",
)  # fmt: skip


class Engine:
    """A workspace with its store and its worker; one run at a time."""

    def __init__(self, workspace: Workspace) -> None:
        workspace.make()
        self.workspace = workspace
        self.store = Store(workspace.store)
        self._latest = LatestResults(workspace.root / "latest.json")
        self._log = workspace.logs / "engine.log"
        self._worker = Worker(workspace.store, workspace.logs / "worker.log")
        log_to(self._log)

    def close(self) -> None:
        """End the worker and close the store."""
        self._worker.close()
        self.store.close()

    def survey(self, request: RunRequest) -> Survey:
        """Say what exists: models, datasets, and the state of every cell."""
        return survey(request, self.workspace, self.store, self._latest)

    def plan(self, request: RunRequest, run_id: str = "", say: Say | None = None) -> Prepared:
        """Lay out a run without starting it."""
        measure = None if say is None else partial(self._measure, say)
        return prepare(_complete(request), self.workspace, self.store, run_id, say, measure)

    def _measure(self, say: Say, job: Job) -> Mapping[str, Any]:
        """Do a `precision` job: which precision `auto` stands for is part of the keys of the plan."""
        say(Log("info", f"{job.model.id}: measuring whether its features bear bf16 on this CPU"))
        summary: Mapping[str, Any] = {}
        for event in self._worker.run(job, lambda: False):
            if isinstance(event, ResultReady):
                summary = event.summary
            else:
                say(event)  # raises Cancelled when the user asked to stop
        return summary

    def run(self, prepared: Prepared, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Run a plan and append each event to the run's events.jsonl and, with a report, to its copy beside it."""
        out = self.out_directory(prepared)
        context = RunContext(self.store, self._worker, cancelled, _ReportWriter(out), str(out), self._log)
        journal = self.workspace.run_directory(prepared.plan.run_id) / "events.jsonl"
        journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.workspace.busy(), open(journal, "a", encoding="ascii") as lines:
            for event in run(prepared, context):
                if isinstance(event, ResultReady) and event.step in prepared.jobs:
                    self._note(event, prepared.jobs[event.step])
                lines.write(to_json(event) + "\n")
                lines.flush()
                yield event
        if out.is_dir():
            (out / "events.jsonl").write_bytes(journal.read_bytes())

    def _note(self, event: ResultReady, job: Job) -> None:
        """Remember a result as the newest of its kind for every feature table that it was made from."""
        single = job.inputs.get("extract")
        for table in (single,) if single else tables_of(job.step):
            self._latest.note(event.kind, table, event.key)

    def out_directory(self, prepared: Prepared) -> Path:
        """Where the run's files go."""
        chosen = prepared.request.out
        return Path(chosen).absolute() if chosen else self.workspace.export_directory(prepared.plan.run_id)


class _ReportWriter:
    """The runner's report sink: hands the run's records to the report package."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def __call__(self, prepared: Prepared, store: Store, outcome: Outcome) -> Iterator[FileWritten]:
        from medvlm_tui.report.cells import ReportInput
        from medvlm_tui.report.write import write_report

        report = ReportInput(
            run_id=prepared.plan.run_id,
            plan=outcome.as_run(prepared.plan),
            request=prepared.request,
            models=prepared.models,
            datasets=prepared.datasets,
            store=store,
            failures=tuple((step, error, hint) for step, (error, hint) in outcome.failed.items()),
            timings=dict(outcome.seconds),
            versions=versions(*_VERSIONED),
            device=f"{prepared.hardware.device} ({prepared.hardware.name})",
        )
        yield from write_report(report, self._out)


def _complete(request: RunRequest) -> RunRequest:
    """Fill in what `--demo` stands for."""
    if not request.demo:
        return request
    return replace(
        request,
        models=request.models or ("efficientnet_lite0",),
        datasets=request.datasets or ("phantom",),
        stages=("extract", "probe", "project", "saliency", "statistics", "report"),
        rise_masks=min(request.rise_masks, 512),
        out=request.out or "medvlm-demo",
    )
