"""The engine process: commands as JSON lines on stdin, events as JSON lines on stdout.

    {"cmd": "survey" | "plan" | "run", "request": {...}}   {"cmd": "cancel"}   {"cmd": "quit"}

stdout is duplicated for events and then pointed at stderr (a log file), so that no library's print can
break the protocol. When the client goes away the run is cancelled; what was computed is stored.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from medvlm_tui.core.events import Event, Log, PlanReady, RunFinished, to_json
from medvlm_tui.core.params import RunRequest
from medvlm_tui.core.workspace import Workspace, new_run_id
from medvlm_tui.errors import Cancelled, ExitCode, MedvlmError
from medvlm_tui.service.inline import Engine

Command = dict[str, Any]


class Server:
    """Answers one client's commands, one after the other; `cancel` reaches a run at once."""

    def __init__(self, engine: Engine, out: TextIO) -> None:
        self._engine = engine
        self._out = out
        self._cancel = threading.Event()
        self._commands: queue.Queue[Command] = queue.Queue()

    def serve(self, lines: TextIO) -> None:
        """Work until `quit` or the end of `lines`."""
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()
        while True:
            command = self._commands.get()
            if command.get("cmd") == "quit":
                return
            try:
                self._answer(command)
            except MedvlmError as error:
                self._fail(command, error)
            except BrokenPipeError:
                return
            except Exception as error:
                logging.getLogger(__name__).exception("command %s", command.get("cmd"))
                self._fail(command, MedvlmError(f"{type(error).__name__}: {error}", "the traceback is in engine.log"))

    def _listen(self, lines: TextIO) -> None:
        for line in lines:
            try:
                command = json.loads(line)
            except ValueError:
                logging.getLogger(__name__).error("not a command: %.200r", line)
                continue
            if command.get("cmd") in ("cancel", "quit"):
                self._cancel.set()
            if command.get("cmd") != "cancel":
                self._commands.put(command)
        self._cancel.set()
        self._commands.put({"cmd": "quit"})

    def _answer(self, command: Command) -> None:
        request = RunRequest.from_record(command.get("request", {}))
        match command.get("cmd"):
            case "survey":
                self._emit(self._engine.survey(request))
            case "plan":
                self._emit(PlanReady("", self._engine.plan(request).plan.to_record()))
            case "run":
                self._cancel.clear()
                prepared = self._engine.plan(request, new_run_id(), self._emit_unless_cancelled)
                for event in self._engine.run(prepared, self._cancel.is_set):
                    self._emit(event)
                self._emit(self._engine.survey(request))
            case other:
                raise MedvlmError(f"unknown command {other!r}", "the client and the engine are of different releases")

    def _fail(self, command: Command, error: MedvlmError) -> None:
        self._emit(Log("error", f"{error.message}\n{error.hint}".strip()))
        if command.get("cmd") == "run":
            code = error.exit_code or ExitCode.STEPS_FAILED
            self._emit(RunFinished("", int(code), done=0, cached=0, failed=1, skipped=0, seconds=0.0))

    def _emit_unless_cancelled(self, event: Event) -> None:
        if self._cancel.is_set():
            raise Cancelled("cancelled before the run began")
        self._emit(event)

    def _emit(self, event: Event) -> None:
        self._out.write(to_json(event) + "\n")
        self._out.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the client at the other end of the pipes."""
    parser = argparse.ArgumentParser(prog="medvlm_tui.service.server")
    parser.add_argument("--workspace", type=Path, required=True)
    options = parser.parse_args(argv)
    events = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    try:
        engine = Engine(Workspace(options.workspace))
    except MedvlmError as error:
        events.write(to_json(Log("error", f"{error.message}\n{error.hint}")) + "\n")
        events.flush()
        return int(error.exit_code)
    try:
        Server(engine, events).serve(sys.stdin)
    finally:
        engine.close()
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
