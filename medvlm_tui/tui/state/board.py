"""Everything the engine has said, folded into what screens show; no textual here, so it is tested alone."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from medvlm_tui.core import events
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import UsageError
from medvlm_tui.settings.options import read_request
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.state import survey_rows
from medvlm_tui.tui.state.survey_rows import Cell, DatasetRow, ModelRow

LOG_LINES = 2000
RATES_KEPT = 60


@dataclass(slots=True)
class Task:
    """A step of the run and how it stands."""

    step: Step
    state: str = "queued"
    done: int = 0
    total: int = 0
    rate: float = 0.0
    eta_s: float | None = None
    unit: str = "images"
    waiting: float | None = None
    """Share of the last moments spent waiting for decoded images."""
    quarantined: int | None = None
    """Images left out so far."""
    note: str = ""
    """Why it failed or did not run."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    """Key of its result, once there is one."""
    preview: str = ""
    """Key of its result so far, for steps that show one."""
    cached: bool = False
    begun: float = 0.0
    """When it started, in seconds since the epoch."""
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=RATES_KEPT))

    @property
    def percent(self) -> int | None:
        """Whole percents done, None before the first progress."""
        return min(100, 100 * self.done // self.total) if self.total else None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the run's log, safe to show."""

    clock: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """One run of the queue."""

    id: str
    request: RunRequest | None
    """None where another release asked for it."""


class Board:
    """The state that all screens draw from; `apply` takes one event."""

    def __init__(self) -> None:
        self.models: dict[str, ModelRow] = {}
        self.datasets: dict[str, DatasetRow] = {}
        self.cells: dict[tuple[str, str], Cell] = {}
        self.surveyed = False
        self._now = 0.0
        """When the event that is taken in was said, in seconds since the epoch."""
        self.device_name = ""
        self.store_bytes = 0
        self.read_only = False
        """The workspace can be looked at alone."""
        self.request: RunRequest | None = None
        """Of the run under way or the last one."""
        self.running = False
        self.cancelling = False
        self.preparing = ""
        """Preparation before the plan is made, with its progress."""
        self.tasks: dict[str, Task] = {}
        self._of_cell: dict[tuple[str, str], list[Task]] = {}
        """Model and dataset -> the tasks about them: every cell that is drawn asks for its own."""
        self.current: str = ""
        """Id of the step that last started."""
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.device: events.DeviceStatus | None = None
        self.files: list[str] = []
        self.finished: events.RunFinished | None = None
        self.refused: events.RunRefused | None = None
        self.waiting: tuple[WaitingRun, ...] = ()
        """Runs that start when those before them have ended."""
        self.paused = False
        """The next of them does not start by itself."""
        self.catching_up = False
        """True while events from before the screens were opened are replayed."""

    def begin(self, request: RunRequest | None) -> None:
        """A run was asked for: everything of the last one is cleared."""
        self.request, self.running, self.cancelling = request, True, False
        self.current, self.finished, self.refused = "", None, None
        self._set_tasks(())
        self.files, self.preparing = [], ""
        self.log.clear()

    def _set_tasks(self, steps: Iterable[Step]) -> None:
        self.tasks = {step.id: _task(step) for step in steps}
        self._of_cell = {}
        for task in self.tasks.values():
            self._of_cell.setdefault((task.step.model, task.step.dataset), []).append(task)

    def engine_gone(self) -> None:
        """Nothing runs any more; what was running or waiting did not end."""
        self._stop("the engine stopped")

    def _stop(self, why: str) -> None:
        self.running = self.cancelling = False
        for task in self.tasks.values():
            if task.state in ("running", "queued"):
                task.state, task.note = "skipped", why

    def apply(self, event: events.Event) -> None:
        """Take in one event."""
        self._now = event.at or time.time()
        name = re.sub("([A-Z])", r"_\1", type(event).__name__).lower()
        handler = getattr(self, f"_on{name}", None)
        if handler is not None:
            handler(event)

    # -- what screens ask --------------------------------------------------------------------------

    def cell(self, model: str, dataset: str) -> Cell:
        """Return how one model stands on one dataset, with the run under way in it."""
        found = self.cells.get((model, dataset)) or self._derived(model, dataset)
        mine = self._of_cell.get((model, dataset), [])
        if self.running:
            return _live(found, mine)
        failed = next((task for task in mine if task.state == "failed"), None)
        if failed is not None and not found.has_scores:
            return replace(found, state="failed", note=failed.note)
        return found

    def who(self, step: Step) -> str:
        """Return whom a step is about: `BiomedCLIP × BreakHis`, empty for the report."""
        model = self.model_name(step.model) if step.model else ""
        dataset = self.dataset_name(step.dataset) if step.dataset else ""
        return " × ".join(name for name in (model, dataset) if name)

    def title(self, step: Step) -> str:
        """Return a step's name for people: `extract BiomedCLIP × BreakHis`."""
        return f"{clean(step.kind)} {self.who(step)}".strip()

    def model_name(self, model: str) -> str:
        """Return a model's name, safe to show."""
        return self.models[model].name if model in self.models else clean(model)

    def dataset_name(self, dataset: str) -> str:
        """Return a dataset's name, safe to show, SYNTHETIC said where it is."""
        return self.datasets[dataset].name if dataset in self.datasets else clean(dataset)

    def with_result(self, kind: str) -> list[Cell]:
        """Return the cells that have a result of this kind, in the order of the catalog."""
        found = [self.cell(model, dataset) for dataset in self.datasets for model in self.models]
        return [cell for cell in found if kind in cell.keys]

    def check_key(self, dataset: str) -> str:
        """Return where the newest check of a dataset lies in the store, empty when it has none."""
        task = self.tasks.get(f"check:{dataset}")
        if task is not None and task.state == "done":
            return task.key
        return self.datasets[dataset].check if dataset in self.datasets else ""

    def verdict_keys(self) -> dict[tuple[str, str], str]:
        """Return (dataset, protocol) -> key of its verdict; of the run under way where no other is known."""
        found = {(row.id, protocol): key for row in self.datasets.values() for protocol, key in row.verdicts.items()}
        for task in self.tasks.values():
            if task.step.kind == "verdict" and task.state == "done" and task.key:
                found.setdefault((task.step.dataset, str(task.step.params.get("protocol", "paper"))), task.key)
        return found

    def best(self, dataset: str) -> float | None:
        """Return the best accuracy on a dataset under today's settings, None when nothing was computed."""
        cells = [cell for cell in self.cells.values() if cell.dataset == dataset and not cell.differs]
        return max((cell.accuracy for cell in cells if cell.accuracy is not None), default=None)

    @property
    def with_results(self) -> frozenset[str]:
        """Return the models and the datasets of which something was computed, by the last survey."""
        done = [cell for cell in self.cells.values() if cell.keys or cell.probes or cell.accuracy is not None]
        return frozenset(name for cell in done for name in (cell.model, cell.dataset))

    def lacks(self, name: str) -> bool:
        """Return whether the images of a dataset, or the weights of a model, are not here."""
        row = self.models.get(name) or self.datasets.get(name)
        return row is not None and row.state != "ready"

    @property
    def is_new(self) -> bool:
        """Nothing computed, and no data but the synthetic."""
        if any(cell.accuracy is not None or cell.keys for cell in self.cells.values()):
            return False
        return not any(row.state == "ready" and not row.synthetic for row in self.datasets.values())

    def _derived(self, model: str, dataset: str) -> Cell:
        states = [row.state for row in (self.models.get(model), self.datasets.get(dataset)) if row]
        missing = [state for state in states if state.endswith("_missing")]
        state = missing[0] if missing else "ready" if states else "nothing"
        return Cell(model, dataset, state, here=missing[0] if missing else "ready")

    # -- events ------------------------------------------------------------------------------------

    def _on_survey(self, event: events.Survey) -> None:
        self.models = {row.id: row for row in map(survey_rows.model_row, event.models)}
        self.datasets = {row.id: row for row in map(survey_rows.dataset_row, event.datasets)}
        self.cells = {(cell.model, cell.dataset): cell for cell in map(survey_rows.cell, event.cells)}
        self.device_name, self.store_bytes = clean(event.device), event.store_bytes
        self.read_only = event.read_only
        self.surveyed = True

    def _on_attached(self, event: events.Attached) -> None:
        self.catching_up = True
        self.waiting, self.paused = (), False  # told anew where runs wait
        self.begin(None)
        self.running = False

    def _on_caught_up(self, event: events.CaughtUp) -> None:
        self.catching_up = False
        if self.running and not event.running:
            self._stop("the process of this run was killed")
            self._note("error", "the process of this run was killed; the same run goes on from what it stored")

    def _on_run_asked(self, event: events.RunAsked) -> None:
        self.begin(_request(event.request))

    def _on_run_refused(self, event: events.RunRefused) -> None:
        self._stop("the run was broken off")
        self.refused = event
        self._note("error", f"{event.error}\n{event.hint}".strip())

    def _on_cancel_asked(self, event: events.CancelAsked) -> None:
        self.cancelling = self.running

    def _on_plan_ready(self, event: events.PlanReady) -> None:
        if not event.run_id:
            return  # of a dry run: the dialog that asked for it shows it
        plan = Plan.from_record(event.plan)
        self.running = True
        self._set_tasks(plan.steps)
        said = {line.message for line in self.log}
        for warning in plan.warnings:
            if clean(warning) not in said:
                self._note("warning", warning)

    def _on_step_started(self, event: events.StepStarted) -> None:
        task = self.tasks.get(event.step)
        if task is not None:
            task.state, task.begun, self.current = "running", self._now, event.step

    def _on_step_progress(self, event: events.StepProgress) -> None:
        task = self.tasks.get(event.step)
        if task is None:
            self.preparing = f"{clean(event.step)}: {event.done:,} of {event.total:,} {clean(event.unit)}"
        else:
            task.state, task.done, task.total = "running", event.done, event.total
            task.rate, task.eta_s, task.unit = event.rate, event.eta_s, clean(event.unit)
            task.waiting, task.quarantined = event.waiting, event.quarantined
            task.rates.append(event.rate)
            self.current = event.step

    def _on_preview_ready(self, event: events.PreviewReady) -> None:
        task = self.tasks.get(event.step)
        if task is not None:
            task.preview = event.key

    def _on_result_ready(self, event: events.ResultReady) -> None:
        task = self.tasks.get(event.step)
        if task is None:
            return
        task.state, task.key, task.cached, task.summary = "done", event.key, event.cached, event.summary
        if task.total:
            task.done = task.total
        self._note("info", f"{'already there' if event.cached else 'done'}: {self.title(task.step)}")

    def _on_step_failed(self, event: events.StepFailed) -> None:
        task = self.tasks.get(event.step)
        reason = clean(event.error) + (f" ({clean(event.hint)})" if event.hint else "")
        if task is not None:
            task.state, task.note = "failed", reason
        self._note("error", f"failed: {self.title(task.step) if task else clean(event.step)}: {reason}")

    def _on_step_skipped(self, event: events.StepSkipped) -> None:
        task = self.tasks.get(event.step)
        if task is not None:
            task.state, task.note = "skipped", clean(event.reason)

    def _on_queue_changed(self, event: events.QueueChanged) -> None:
        self.waiting = tuple(WaitingRun(str(one["id"]), _request(one["request"])) for one in event.waiting)
        self.paused = event.paused

    def _on_log(self, event: events.Log) -> None:
        self._note(event.level, event.message)

    def _on_device_status(self, event: events.DeviceStatus) -> None:
        self.device = event

    def _on_file_written(self, event: events.FileWritten) -> None:
        self.files.append(clean(event.path))

    def _on_run_finished(self, event: events.RunFinished) -> None:
        self.finished, self.running, self.cancelling = event, False, False
        self._note("info", run_summary(event))

    def _note(self, level: str, message: str) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(self._now or time.time()))
        for line in message.splitlines() or [""]:
            self.log.append(LogLine(clock, level, clean(line)))


def _request(record: Mapping[str, Any]) -> RunRequest | None:
    """Return a run's request; None where another release wrote it and it cannot be asked for again."""
    try:
        return read_request(record)
    except UsageError:
        return None


def run_summary(event: events.RunFinished) -> str:
    """Return the end of a run in one line."""
    counts = f"{event.done} done, {event.cached} already there, {event.failed} failed, {event.skipped} skipped"
    word = {0: "finished", 130: "cancelled"}.get(event.exit_code, "finished with failures")
    return f"{word} in {event.seconds:.1f} s: {counts}"


def _task(step: Step) -> Task:
    if step.have:
        return Task(step, state="done", key=step.key, cached=True)
    if step.blocked:
        return Task(step, state="blocked", note=clean(step.blocked.replace("\n", ": ")))
    return Task(step)


def _live(found: Cell, mine: list[Task]) -> Cell:
    """Return the cell as the run under way changes it."""
    done = [task for task in mine if task.state == "done" and task.key]
    # The run's first protocol is the one that is shown.
    first = next((task.step.id for task in mine if task.step.kind == "probe"), "")
    keys = {_kind(task): task.key for task in done if task.step.kind != "probe" or task.step.id == first}
    probes = {
        str(task.step.params.get("protocol", "paper")): survey_rows.reading(task.key, task.summary)
        for task in done
        if task.step.kind == "probe" and task.summary
    }
    shown = next((task for task in done if task.step.id == first and task.summary), None)
    if shown is not None:
        found = _with_scores(found, shown.summary)
    found = replace(found, keys={**found.keys, **keys}, probes={**found.probes, **probes})
    maps = (task.key for task in mine if task.step.kind == "project" and task.state == "done" and task.key)
    found = replace(found, maps=tuple(dict.fromkeys((*found.maps, *maps))))
    for state in ("failed", "running", "queued"):
        task = next((task for task in mine if task.state == state), None)
        if task is not None:
            return replace(found, state=state, percent=task.percent, note=task.note)
    if mine and all(task.state == "done" for task in mine):
        return replace(found, state="done")
    return found


def _with_scores(found: Cell, summary: Mapping[str, Any]) -> Cell:
    own = survey_rows.reading("", summary)
    found = replace(found, accuracy=own.accuracy, std=own.std, macro_f1=own.macro_f1, t=own.t, differs="")
    return replace(found, saturated=own.saturated, here="ready")


def _kind(task: Task) -> str:
    return "table" if task.step.kind == "extract" else task.step.kind
