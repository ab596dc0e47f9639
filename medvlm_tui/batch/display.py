"""Display of a batch run's events: progress bars on a terminal, plain lines elsewhere, JSON lines with --json."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from medvlm_tui.core.counts import counted
from medvlm_tui.core.events import (
    DeviceStatus,
    Event,
    FileWritten,
    Log,
    PlanReady,
    ResultReady,
    RunFinished,
    RunRefused,
    StepFailed,
    StepProgress,
    StepSkipped,
    StepStarted,
    to_json,
)
from medvlm_tui.core.plan import Plan
from medvlm_tui.core.safe_text import clean

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# A log file needs to know that a run is alive, not every batch.
_PLAIN_INTERVAL_S = 10.0


class Display(Protocol):
    """Protocol of a display of events."""

    def show(self, event: Event) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def choose_display(as_json: bool, stdout: TextIO, stderr: TextIO) -> Display:
    """Return the display that fits: JSON when asked, bars on a terminal, lines elsewhere."""
    if as_json:
        return JsonDisplay(stdout)
    return BarDisplay(stderr) if stderr.isatty() else PlainDisplay(stderr)


def line_of(event: Event) -> str:
    """Return an event as one line for people, empty when it is not worth one."""
    match event:
        case PlanReady():
            plan = Plan.from_record(event.plan)
            have = sum(step.have for step in plan.steps)
            images = sum(step.images for step in plan.steps)
            steps = f"{counted(len(plan.steps), 'step')}, {have} already done"
            return f"run {event.run_id}: {steps}, {counted(images, 'image')} to encode"
        case DeviceStatus():
            return f"device {event.device} ({event.name}), {event.precision}"
        case Log(level="info"):
            return event.message
        case Log():
            return f"{event.level}: {event.message}"
        case StepStarted():
            return f"start {event.step}"
        case ResultReady(cached=True):
            return f"have  {event.step}{_numbers(event)}"
        case ResultReady():
            return f"done  {event.step}{_numbers(event)}"
        case StepFailed():
            return f"FAIL  {event.step}: {event.error}" + (f"\n      {event.hint}" if event.hint else "")
        case StepSkipped():
            return f"skip  {event.step}: {event.reason}"
        case RunRefused():
            return f"nothing ran: {event.error}" + (f"\n      {event.hint}" if event.hint else "")
        case RunFinished():
            counts = f"{event.done} done, {event.cached} had, {event.failed} failed, {event.skipped} skipped"
            return f"run finished in {event.seconds:.1f} s: {counts}"
    return ""


def progress_text(event: StepProgress) -> str:
    """Return `120/600 images, 41.2/s, 0:12 left, 1 quarantined`."""
    text = f"{event.done:,}/{event.total:,} {event.unit}"
    if event.rate:
        text += f", {event.rate:.1f}/s"
    if event.eta_s is not None:
        minutes, seconds = divmod(round(event.eta_s), 60)
        text += f", {minutes}:{seconds:02d} left"
    if event.quarantined:
        text += f", {event.quarantined:,} quarantined"
    return text


def waiting_text(event: StepProgress) -> str:
    """Return `, waiting 21 % for decoding`, empty where nothing is decoded; a bar has no room for it."""
    return "" if event.waiting is None else f", waiting {100 * event.waiting:.0f} % for decoding"


def _numbers(event: ResultReady) -> str:
    shown = [f"{name} {_number(value)}" for name, value in event.summary.items() if value is not None]
    return "  " + ", ".join(shown) if shown else ""


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_number(item) for item in value) + "]"
    return str(value)


class _Quiet:
    """A display that needs no opening or closing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class JsonDisplay(_Quiet):
    """Every event, one JSON object a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, event: Event) -> None:
        """Write the event and flush, so that a reader sees it at once."""
        self._out.write(to_json(event) + "\n")
        self._out.flush()


class PlainDisplay(_Quiet):
    """Plain lines; progress every ten seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last = 0.0

    def show(self, event: Event) -> None:
        """Write the event's line, if it is worth one."""
        if isinstance(event, StepProgress):
            if time.monotonic() - self._last < _PLAIN_INTERVAL_S:
                return
            self._last = time.monotonic()
            self._write(f"      {event.step}: {progress_text(event)}{waiting_text(event)}")
        elif isinstance(event, FileWritten):
            return
        else:
            self._write(line_of(event))

    def _write(self, text: str) -> None:
        for line in text.splitlines():
            self._out.write(clean(line) + "\n")
        self._out.flush()


class BarDisplay:
    """One bar for the step under way, finished steps as lines above it."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(30),
            TextColumn("{task.fields[text]}", markup=False),
        )
        self._console = Console(file=out, highlight=False)
        self._progress: Progress = Progress(*columns, console=self._console, transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Move the bar, or print the event's line above it."""
        from rich.text import Text

        if isinstance(event, StepProgress):
            self._move(event.step, event.total, event.done, progress_text(event))
            return
        if isinstance(event, StepStarted):
            self._move(event.step, None, 0, "starting")
            return
        if isinstance(event, FileWritten):
            return
        if self._task is not None and isinstance(event, PlanReady | ResultReady | StepFailed | StepSkipped):
            self._progress.remove_task(self._task)
            self._task = None
        for line in line_of(event).splitlines():
            self._console.print(Text(clean(line)))

    def _move(self, step: str, total: int | None, done: int, text: str) -> None:
        if self._task is None:
            self._task = self._progress.add_task("", total=None, name="", text="")
        self._progress.update(self._task, total=total, completed=done, name=clean(step), text=text)
