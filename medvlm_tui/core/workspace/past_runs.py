"""The runs that have ended: what each asked for, how long it took, what it wrote, what failed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medvlm_tui.core import events
from medvlm_tui.core.atomic_files import write_cache
from medvlm_tui.core.secrets import redact
from medvlm_tui.core.workspace import run_journal

FILE = "summary.json"
MOST_RUNS = 200
"""Of the newest runs that a history shows."""
_MOST_FILES = 500
_MOST_STEPS = 5000
# Ends of events.jsonl that are read where a run has no summary; a plan of the whole study takes about 1 MB.
_END_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class StepTime:
    """The cost of one step."""

    kind: str
    model: str
    dataset: str
    seconds: float
    units: int = 0
    """Images or masked images of its progress, 0 where it told none."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run that has ended."""

    run_id: str
    request: Mapping[str, Any]
    """`RunRequest.to_record()`."""
    by: str = ""
    begun: float = 0.0
    """Seconds since the epoch."""
    seconds: float = 0.0
    exit_code: int | None = None
    """None for a run that was killed."""
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Steps done, there already, failed, skipped."""
    out: str = ""
    files: tuple[str, ...] = ()
    failures: tuple[tuple[str, str, str], ...] = ()
    """(step id, error, hint); without a step's id the reason why the run could not begin."""
    steps: tuple[StepTime, ...] = ()
    """Of the steps that were computed."""


@dataclass(slots=True)
class Summing:
    """Folds a run's events into its summary."""

    request: Mapping[str, Any]
    by: str
    begun: float = field(default_factory=time.time)
    files: list[str] = field(default_factory=list)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    steps: list[StepTime] = field(default_factory=list)
    _units: dict[str, int] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)

    def take(self, event: events.Event) -> None:
        """Take in one event."""
        match event:
            case events.StepStarted():
                self._started[event.step] = time.monotonic()
            case events.StepProgress():
                self._units[event.step] = event.total
            case events.ResultReady() if not event.cached and len(self.steps) < _MOST_STEPS:
                self._time(event)
            case events.StepFailed():
                self.failures.append((event.step, event.error, event.hint))
            case events.FileWritten() if len(self.files) < _MOST_FILES:
                self.files.append(event.path)

    def _time(self, event: events.ResultReady) -> None:
        started = self._started.get(event.step)
        if started is None:
            return
        seconds, units = round(time.monotonic() - started, 3), self._units.get(event.step, 0)
        self.steps.append(StepTime(event.kind, event.model, event.dataset, seconds, units))

    def write(self, directory: Path, end: events.RunFinished) -> None:
        """Put the summary beside the run's events; a disk that refuses costs the summary alone."""
        counts = (end.done, end.cached, end.failed, end.skipped)
        run = PastRun(
            directory.name, self.request, self.by, round(self.begun, 3), end.seconds, end.exit_code, counts,
            end.out, tuple(self.files), tuple(self.failures), tuple(self.steps),
        )  # fmt: skip
        write_cache(directory / FILE, redact(json.dumps(asdict(run), ensure_ascii=True, default=str)).encode())


def past_runs(runs: Path, most: int = MOST_RUNS, but: str = "") -> Iterator[PastRun]:
    """Yield the newest runs below `runs`, the newest first, without the one under way (`but`)."""
    names = sorted((path.parent.name for path in runs.glob(f"*/{run_journal.FILE}")), reverse=True)
    for name in [name for name in names if name != but][:most]:
        found = _read(runs / name)
        if found is not None:
            yield found


def _read(directory: Path) -> PastRun | None:
    """Return a run from its summary, or from the ends of its events; None where neither can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        return _from_record(json.loads((directory / FILE).read_bytes()))
    with suppress(OSError, ValueError):
        return _from_events(directory)
    return None


def _from_record(record: Mapping[str, Any]) -> PastRun:
    done, cached, failed, skipped = (int(count) for count in record["counts"])
    code = record["exit_code"]
    return PastRun(
        str(record["run_id"]),
        dict(record["request"]),
        str(record["by"]),
        float(record["begun"]),
        float(record["seconds"]),
        None if code is None else int(code),
        (done, cached, failed, skipped),
        str(record["out"]),
        tuple(map(str, record["files"])),
        tuple((str(step), str(error), str(hint)) for step, error, hint in record["failures"]),
        tuple(
            StepTime(str(s["kind"]), str(s["model"]), str(s["dataset"]), float(s["seconds"]), int(s["units"]))
            for s in record["steps"]
        ),
    )


def _from_events(directory: Path) -> PastRun | None:
    """Return what the first and the last lines of a run's events say of it."""
    path = directory / run_journal.FILE
    with open(path, "rb") as file:
        first = events.from_line(file.readline().decode("ascii", "backslashreplace").strip())
        file.seek(max(0, path.stat().st_size - _END_BYTES))
        tail = file.read().decode("ascii", "backslashreplace").splitlines()
    if not isinstance(first, events.RunAsked):
        return None
    told = [events.from_line(line) for line in tail[-40:] if line.startswith("{")]
    end = next((one for one in reversed(told) if isinstance(one, events.RunFinished | events.RunRefused)), None)
    if isinstance(end, events.RunFinished):
        counts = (end.done, end.cached, end.failed, end.skipped)
        return PastRun(first.run_id, first.request, first.by, first.at, end.seconds, end.exit_code, counts, end.out)
    if isinstance(end, events.RunRefused):
        reason = (("", end.error, end.hint),)
        return PastRun(first.run_id, first.request, first.by, first.at, exit_code=end.exit_code, failures=reason)
    return PastRun(first.run_id, first.request, first.by, first.at)
