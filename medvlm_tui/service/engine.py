"""The engine in this process: what `--batch` calls and what the server wraps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import (
    DataFound,
    Event,
    FileWritten,
    Log,
    ResultReady,
    RunAsked,
    RunFinished,
    RunRefused,
    Survey,
)
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.system_errors import in_words
from medvlm_tui.core.versions import versions
from medvlm_tui.core.workspace.latest_results import LatestResults
from medvlm_tui.core.workspace.logs import rotate
from medvlm_tui.core.workspace.past_runs import Summing
from medvlm_tui.core.workspace.results_index import ResultsIndex
from medvlm_tui.core.workspace.run_journal import RunFile, Said
from medvlm_tui.core.workspace.workspace import Workspace, new_run_id
from medvlm_tui.engine.datasets.recognition import look_below
from medvlm_tui.engine.run.gathered_steps import tables_of
from medvlm_tui.engine.run.inputs import Say
from medvlm_tui.engine.run.planner import Prepared, prepare
from medvlm_tui.engine.run.runner import Outcome, RunContext, run
from medvlm_tui.engine.run.survey import Records, survey
from medvlm_tui.engine.step.executor import Executor
from medvlm_tui.engine.step.job import CellJob, CheckJob, ModelJob, PlannedJob
from medvlm_tui.engine.step.worker import Worker
from medvlm_tui.errors import Cancelled, MedvlmError
from medvlm_tui.stages import VERSIONS, as_demo
from medvlm_tui.stages.request import RunRequest

_VERSIONED = (
    "torch", "torchvision", "transformers", "timm", "open_clip_torch", "scikit-learn", "umap-learn", "numpy", "scipy",
    "Pillow", "matplotlib", "diskcache", "safetensors",
)  # fmt: skip


Tell = Callable[[Said], None]
_ROTATE_EVERY_S = 10.0
LOOK_SECONDS = 8.0
"""A search for datasets below a folder ends after so long."""


class Engine:
    """A workspace with its store and its worker; one run at a time, in the thread that made it."""

    def __init__(self, workspace: Workspace, read_only: bool = False) -> None:
        """Open the workspace; `read_only` only to look at it, which writes nothing there."""
        if not read_only:
            workspace.make()
        self.workspace = workspace
        self.store = Store(workspace.store, read_only)
        self._log = workspace.logs / "engine.log"
        self._worker_log = workspace.logs / "worker.log"
        self._executor: Executor = Worker(workspace.store, self._worker_log)
        self._cancelled: Callable[[], bool] = lambda: False

    def close(self) -> None:
        """End the worker and close the store."""
        self.free()
        self.store.close()

    def free(self) -> None:
        """End the worker, which may hold a device; the next step starts another."""
        self._executor.close()

    def survey(self, request: RunRequest) -> Survey:
        """Emit the survey: models, datasets, and the state of every cell."""
        index = ResultsIndex(self.workspace.runs, self.workspace.root / "results.json", self.store.read_only)
        return survey(request, self.workspace, Records(self.store, self._latest(), index))

    def look(self, path: Path, stopped: Callable[[], bool] = lambda: False) -> DataFound:
        """Emit what datasets lie at a path and below it, within some seconds or until `stopped` says so."""
        began = time.monotonic()
        found = look_below(path, LOOK_SECONDS, stopped)
        candidates = tuple(asdict(candidate) for candidate in found.candidates)
        return DataFound(str(path), candidates, found.others, found.problem, round(time.monotonic() - began, 3))

    def plan(self, request: RunRequest, run_id: str = "", say: Say | None = None) -> Prepared:
        """Lay out a run without starting it; with `say` what it needs is made and fetched first."""
        measure = None if say is None else partial(self._measure, say)
        return prepare(_complete(request), self.workspace, self.store, run_id, say, measure, foresee=say is None)

    def _measure(self, say: Say, job: ModelJob) -> Mapping[str, Any]:
        """Do a `precision` job: which precision `auto` stands for is part of the keys of the plan."""
        tried = f"{job.step.params['precision']} on {job.step.params['device']}"
        say(Log("info", f"{job.model.id}: measuring whether {tried} changes its features"))
        summary: Mapping[str, Any] = {}
        with self._whole_steps():
            for event in self._executor.run(job, self._cancelled):
                if isinstance(event, ResultReady):
                    summary = event.summary
                else:
                    say(event)
        return summary

    @contextmanager
    def _whole_steps(self) -> Iterator[None]:
        """End a worker that was left in the middle of a step: nobody reads the rest of its events any more."""
        try:
            yield
        except BaseException:
            self._executor.kill()
            raise

    def run(
        self, request: RunRequest, by: str, cancelled: Callable[[], bool], tell: Tell
    ) -> tuple[Prepared, RunFinished]:
        """Plan and do a run; each event goes to the run's events.jsonl, then to `tell`.

        What is recorded as asked for is the completed request, so that its command line names what was run.
        Raises the MedvlmError that kept it from beginning, after RunRefused was told; StoreError before anything was
        told when the workspace is busy.
        """
        request = _complete(request)
        directory, self._cancelled = self.workspace.run_directory(new_run_id()), cancelled
        with self.workspace.busy(by), RunFile(directory) as file:
            say = _Sayer(file, tell, cancelled)
            say(RunAsked(file.run_id, request.to_record(), by))
            prepared = self._prepare(request, file.run_id, say)
            summing = Summing(request.to_record(), by)
            return prepared, self._carry_out(prepared, say, file.path, summing)

    def _prepare(self, request: RunRequest, run_id: str, say: _Sayer) -> Prepared:
        """Plan, and stop between two files when the user asked to."""
        self.store.file_digests.check = say.stop_if_cancelled
        try:
            prepared = self.plan(request, run_id, say.unless_cancelled)
            say.stop_if_cancelled()
        except MedvlmError as error:
            say(RunRefused(run_id, error.message, error.hint, int(error.exit_code)))
            raise
        except Exception as error:
            logging.getLogger(__name__).exception("planning")
            unknown = MedvlmError(
                f"{type(error).__name__}: {error}", f"unexpected error; the traceback is in {self._log}"
            )
            known = in_words(error) or unknown
            say(RunRefused(run_id, known.message, known.hint, int(known.exit_code)))
            raise known from error
        finally:
            self.store.file_digests.check = None
        return prepared

    def _carry_out(self, prepared: Prepared, say: _Sayer, file: Path, summing: Summing) -> RunFinished:
        out, latest, rotated = self.out_directory(prepared), self._latest(), 0.0
        context = RunContext(self.store, self._executor, say.cancelled, _ReportWriter(out), str(out), self._log)
        event: Event | None = None
        with self._whole_steps():
            for event in run(prepared, context):
                if isinstance(event, ResultReady) and event.step in prepared.jobs:
                    _note(latest, event, prepared.jobs[event.step])
                summing.take(event)
                if isinstance(event, RunFinished):
                    event = _without_missing_folder(event)
                    # Before its end is told: who hears of it may read the summary.
                    summing.write(file.parent, event)
                say(event)
                if time.monotonic() - rotated > _ROTATE_EVERY_S:
                    rotated = time.monotonic()
                    self._rotate_logs()
        assert isinstance(event, RunFinished)
        _copy(file, out)
        return event

    def _rotate_logs(self) -> None:
        for log in (self._log, self._worker_log):
            rotate(log)

    def out_directory(self, prepared: Prepared) -> Path:
        """Return the folder of the run's files."""
        chosen = prepared.request.out
        return Path(chosen).absolute() if chosen else self.workspace.export_directory(prepared.plan.run_id)

    def _latest(self) -> LatestResults:
        return LatestResults(self.workspace.root / "latest.json", VERSIONS)


class _Sayer:
    """Puts a run's events into its file and tells them."""

    def __init__(self, file: RunFile, tell: Tell, cancelled: Callable[[], bool]) -> None:
        self._file, self._tell, self.cancelled = file, tell, cancelled

    def __call__(self, event: Event) -> None:
        self._tell(self._file.append(event))

    def unless_cancelled(self, event: Event) -> None:
        """Emit an event of the preparation; raises Cancelled when the user asked to stop meanwhile."""
        self.stop_if_cancelled()
        self(event)

    def stop_if_cancelled(self) -> None:
        """Raise Cancelled when the user asked to stop."""
        if self.cancelled():
            raise Cancelled("cancelled before the run began", "run the same command again")


def _note(latest: LatestResults, event: ResultReady, job: PlannedJob) -> None:
    """Remember a result as the newest of its kind for every feature table that it was made from, a check's for the
    images."""
    if isinstance(job, CheckJob):
        subjects: Iterable[str] = (job.study.digest,)
    elif isinstance(job, CellJob):
        subjects = (job.inputs["extract"],)
    else:
        subjects = tables_of(job.step)
    for subject in subjects:
        latest.note(event.kind, subject, event.key)


def _without_missing_folder(event: RunFinished) -> RunFinished:
    """Return the end of a run without the name of a folder that was never made: it was cancelled before its report."""
    return event if Path(event.out).is_dir() else replace(event, out="")


def _copy(file: Path, out: Path) -> None:
    """Put the run's events beside its tables, where it has any."""
    if not out.is_dir():
        return
    try:
        write_export(out / file.name, file.read_bytes())
    except OSError as error:
        logging.getLogger(__name__).error("%s: %s", out, error)


class _ReportWriter:
    """The runner's report sink: hands the run's records to the report package."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def __call__(self, prepared: Prepared, store: Store, outcome: Outcome) -> Iterator[FileWritten | Log]:
        from medvlm_tui.report.results.run_results import ReportInput
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
            read_pictures=partial(_pictures, prepared.request.window),
        )
        yield from write_report(report, self._out)


def _pictures(window: str, samples: Sequence[Sample], side_px: int) -> Iterator[NDArray[np.uint8] | None]:
    """Yield small copies of images for the report, read in decoding processes; None for one that cannot be read."""
    from medvlm_tui.engine.datasets.likeness.image_prints import read_small
    from medvlm_tui.engine.images.decoders import decoded
    from medvlm_tui.engine.images.decoding_task import Reduced

    for answer in decoded(samples, partial(read_small, window=window, side_px=side_px), keep=False):
        yield answer.pixels if isinstance(answer, Reduced) else None


def _complete(request: RunRequest) -> RunRequest:
    """Fill in what `--demo` stands for."""
    if not request.demo:
        return request
    return replace(
        as_demo(request),
        models=request.models or ("efficientnet_lite0", "phantom_clip"),
        datasets=request.datasets or ("phantom",),
        out=request.out or "medvlm-demo",
    )
