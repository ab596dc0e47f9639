"""`medvlm-tui attach`: the workspace's run, as screens on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from medvlm_tui import streams
from medvlm_tui.batch.display import JsonDisplay, PlainDisplay
from medvlm_tui.core.events import RunFinished, RunRefused, from_line
from medvlm_tui.core.workspace import run_journal
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ExitCode, UsageError
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest

_POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--json", action="store_true", help="print events as JSON lines on stdout")


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Show the run under way, or the last one, to its end; returns its exit code. Leaving does not stop it."""
    if not options.json and streams.can_draw():
        from medvlm_tui.tui.start import run_tui

        return run_tui(configuration, request, mouse=not options.no_mouse, place="run")
    display = JsonDisplay(sys.stdout) if options.json else PlainDisplay(sys.stdout)
    workspace = Workspace(configuration.workspace)
    try:
        for line in follow(workspace):
            event = from_line(line)
            display.show(event)
            if isinstance(event, RunFinished | RunRefused):
                return event.exit_code
    except KeyboardInterrupt:
        print("the run goes on", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    print("the process of this run was killed: the same command goes on from what it stored", file=sys.stderr)
    return int(ExitCode.INTERRUPTED)


def follow(workspace: Workspace) -> Iterator[str]:
    """Yield what the last run said and says, whoever does it, until nothing more can come; raises UsageError."""
    path = run_journal.last_run(workspace.runs)
    if path is None:
        raise UsageError(f"nothing has run in the workspace {workspace.root}", "`medvlm-tui` or --batch runs something")
    lines, end = run_journal.whole_lines(path)
    yield from run_journal.without_old_progress(lines)
    while True:
        over = workspace.holder() is None
        lines, end = run_journal.whole_lines(path, end)
        yield from lines
        if over:
            return
        time.sleep(_POLL_S)
