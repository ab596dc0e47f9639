"""`--batch`: one plan, the same engine, no screen."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from medvlm_tui import streams
from medvlm_tui.batch.display import Display, JsonDisplay, choose_display
from medvlm_tui.batch.summary import plan_lines, result_lines
from medvlm_tui.core.events import RunRefused
from medvlm_tui.core.secrets import leave_no_core
from medvlm_tui.core.workspace.logs import log_to
from medvlm_tui.core.workspace.run_journal import Said
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ExitCode
from medvlm_tui.service.engine import Engine
from medvlm_tui.stages.request import RunRequest

if TYPE_CHECKING:
    from medvlm_tui.core.events import RunFinished
    from medvlm_tui.engine.run.planner import Prepared
    from medvlm_tui.report.results.cells import Cell

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Output options of a batch run."""

    json: bool = False
    """Events as JSON lines on stdout."""
    dry_run: bool = False


@dataclass(slots=True)
class _Stop:
    """Set by the first SIGINT, SIGTERM or SIGHUP; the second SIGINT or SIGTERM leaves at once."""

    requested: bool = False
    terminals: tuple[int, ...] = field(default_factory=lambda: tuple(filter(os.isatty, (1, 2))))
    """Which of stdout and stderr are a terminal."""

    def handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.requested = True
            self.forget_lost_terminals()
        elif self.requested:
            for child in multiprocessing.active_children():
                child.kill()
            os._exit(ExitCode.INTERRUPTED)
        else:
            self.requested = True
            with suppress(OSError):  # nobody may be there to read it
                os.write(2, b"\nstopping; once more to leave at once\n")

    def forget_lost_terminals(self) -> None:
        """Discard later output, so that the run still ends in the normal way."""
        for number in self.terminals:
            try:
                termios.tcgetattr(number)
            except (OSError, termios.error):
                streams.to_nowhere(number)


class _Audience:
    """Shows events as long as somebody sees them.

    A terminal that is lost costs a run nothing, and neither do messages that nobody reads any more, as long as its
    results are read. Without a reader of either (`2>&1 | head`) it ends.
    """

    def __init__(self, display: Display, stop: _Stop) -> None:
        self._display, self._stop = display, stop

    def __call__(self, said: Said) -> None:
        if isinstance(said.event, RunRefused) and not isinstance(self._display, JsonDisplay):
            return  # what kept a run from beginning is the command's error message
        try:
            self._display.show(said.event)
        except BrokenPipeError:
            if isinstance(self._display, JsonDisplay):
                streams.to_nowhere(1)
                self._stop.requested = True
        except OSError as error:
            if error.filename == streams.STDOUT and not os.isatty(1):
                raise
            self._stop.forget_lost_terminals()
        if not (isinstance(self._display, JsonDisplay) or streams.messages_are_read() or streams.has_reader(1)):
            self._stop.requested = True


def run_batch(workspace: Path, request: RunRequest, options: BatchOptions) -> int:
    """Run and return the exit code; raises MedvlmError when nothing could start."""
    leave_no_core()
    engine = Engine(Workspace(workspace))
    log_to(engine.workspace.logs / "engine.log")
    try:
        if options.dry_run:
            return _dry_run(engine, request, options)
        prepared, last = _shown(engine, request, options)
        if not options.json:
            _print(result_lines(prepared.plan, engine.store, last))
        return last.exit_code
    finally:
        engine.close()


def run_and_read(workspace: Path, request: RunRequest) -> tuple[tuple[Cell, ...], int]:
    """Run with progress on stderr; return the scores of the run and its exit code, and print nothing on stdout.

    Raises MedvlmError when nothing could start.
    """
    # Imported here: numpy, which `--batch` needs only in its workers.
    from medvlm_tui.report.results.run_results import Gathered, ReportInput

    leave_no_core()
    engine = Engine(Workspace(workspace))
    log_to(engine.workspace.logs / "engine.log")
    try:
        prepared, last = _shown(engine, request, BatchOptions())
        plan, asked = prepared.plan, prepared.request
        found = ReportInput(plan.run_id, plan, asked, prepared.models, prepared.datasets, engine.store)
        return Gathered(found).cells, last.exit_code
    finally:
        engine.close()


def _shown(engine: Engine, request: RunRequest, options: BatchOptions) -> tuple[Prepared, RunFinished]:
    display = choose_display(options.json, sys.stdout, sys.stderr)
    with _stoppable() as stop, display:
        return engine.run(request, "batch", lambda: stop.requested, _Audience(display, stop))


def _print(lines: Iterator[str]) -> None:
    """Print the numbers of a finished run; without a reader they are in its files all the same."""
    try:
        for line in lines:
            print(line)
        streams.finish()
    except BrokenPipeError:
        streams.to_nowhere(1)


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
    """Stop at a signal; one that is ignored already stays so (`nohup`)."""
    stop = _Stop()
    heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, stop.handle) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
