"""The process that looks at a workspace which cannot be written: JSON lines, commands of the protocol in, events out.

Where nothing can be written there is neither a lock nor an address, so nothing can run. What was computed is read.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.core.events import Attached, CaughtUp, Event, Log, PlanReady, RunRefused, to_json
from medvlm_tui.core.secrets import redact
from medvlm_tui.core.workspace import run_journal
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ExitCode, MedvlmError
from medvlm_tui.service.engine import Engine
from medvlm_tui.service.protocol import Command, read_command
from medvlm_tui.stages.request import RunRequest


def answers(engine: Engine, command: Command) -> Iterator[str]:
    """Yield the events that answer one command, each as its line."""
    try:
        yield from _lines(engine, command)
    except MedvlmError as error:
        yield _line(Log("error", f"{error.message}\n{error.hint}".strip()))
    except Exception as error:
        logging.getLogger(__name__).exception("looking around")
        yield _line(Log("error", f"{type(error).__name__}: {error}"))


def _lines(engine: Engine, command: Command) -> Iterator[str]:
    request = RunRequest.from_record(dict(command.get("request", {})))
    match command.get("cmd"):
        case "watch":
            yield from _last_run(engine.workspace)
        case "survey":
            yield _line(engine.survey(request))
        case "plan":
            yield _line(PlanReady("", engine.plan(request).plan.to_record()))
        case "look":
            yield _line(engine.look(Path(str(command.get("path")))))
        case "run":
            refused = engine.workspace.read_only_refusal
            yield _line(RunRefused("", refused.message, refused.hint, int(ExitCode.STORE_REFUSED)))


def _last_run(workspace: Workspace) -> Iterator[str]:
    path = run_journal.last_run(workspace.runs)
    run_id = path.parent.name if path is not None else ""
    yield _line(Attached(run_id, running=False))
    yield from run_journal.without_old_progress(run_journal.whole_lines(path)[0] if path is not None else [])
    yield _line(CaughtUp(run_id, running=False))


def _line(event: Event) -> str:
    return redact(to_json(event))


def main(argv: Sequence[str] | None = None) -> int:
    """Answer until stdin ends; the first line says whether the workspace can be read."""
    parser = argparse.ArgumentParser(prog="medvlm_tui.service.reading")
    parser.add_argument("--workspace", type=Path, required=True)
    options = parser.parse_args(argv)
    said = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what libraries print is no event

    def say(line: str) -> None:
        said.write(line + "\n")
        said.flush()

    try:
        engine = Engine(Workspace(options.workspace), read_only=True)
    except MedvlmError as error:
        say(json.dumps({"message": error.message, "hint": error.hint}))
        return int(error.exit_code)
    say("{}")
    for line in sys.stdin.buffer:
        for answer in answers(engine, read_command(line)):
            say(answer)
    engine.close()
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
