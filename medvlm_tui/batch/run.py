"""`--batch`: one plan, the same engine, no screen."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from medvlm_tui.batch.display import Display, choose_display
from medvlm_tui.batch.summary import plan_lines, result_lines
from medvlm_tui.core.events import Event, RunFinished
from medvlm_tui.core.params import RunRequest
from medvlm_tui.core.workspace import Workspace, new_run_id
from medvlm_tui.errors import Cancelled, ExitCode
from medvlm_tui.service.inline import Engine


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a batch run speaks."""

    json: bool = False
    """Events as JSON lines on stdout."""
    dry_run: bool = False


@dataclass(slots=True)
class _Stop:
    """Set by the first SIGINT or SIGTERM; the second one leaves at once."""

    requested: bool = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(ExitCode.INTERRUPTED)
        self.requested = True
        if sys.stderr.isatty() or number == signal.SIGINT:
            os.write(2, b"\nstopping; once more to leave at once\n")


def run_batch(workspace: Path, request: RunRequest, options: BatchOptions) -> int:
    """Run and return the exit code; raises MedvlmError when nothing could start."""
    engine = Engine(Workspace(workspace))
    try:
        display = choose_display(options.json, sys.stdout, sys.stderr)
        if options.dry_run:
            return _dry_run(engine, request, options)
        with _stoppable() as stop, display:
            prepared = engine.plan(request, new_run_id(), partial(_show_unless_stopped, stop, display))
            last = _show(engine.run(prepared, lambda: stop.requested), display)
        if not options.json:
            for line in result_lines(prepared.plan, engine.store, last):
                print(line)
        return last.exit_code
    finally:
        engine.close()


def _show_unless_stopped(stop: _Stop, display: Display, event: Event) -> None:
    """Show what happens before the run; raises Cancelled when the user asked to stop meanwhile."""
    if stop.requested:
        raise Cancelled("cancelled before the run began", "run the same command again")
    display.show(event)


def _show(events: Iterator[Event], display: Display) -> RunFinished:
    """Show every event; the engine puts its files in order after the last one, so none is left unread."""
    last: Event | None = None
    for last in events:
        display.show(last)
    assert isinstance(last, RunFinished)
    return last


def _dry_run(engine: Engine, request: RunRequest, options: BatchOptions) -> int:
    prepared = engine.plan(request)
    if options.json:
        print(json.dumps(prepared.plan.to_record(), ensure_ascii=True))
    else:
        for line in plan_lines(prepared.plan):
            print(line)
    return int(ExitCode.OK)


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    stop = _Stop()
    previous = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
