"""`medvlm-tui cancel`: stop the workspace's run; what it computed is kept."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import time
from pathlib import Path

from medvlm_tui.batch.display import line_of
from medvlm_tui.core.events import from_line
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.workspace import run_journal
from medvlm_tui.core.workspace.workspace import LOCK, Holder, Workspace
from medvlm_tui.errors import ExitCode, MedvlmError, UsageError
from medvlm_tui.service.client import EngineClient
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest

# A step stops within a second; planning stops between two files, which may be large and far away.
_PATIENCE_S = 30.0
_POLL_S = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command: none."""


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Ask whoever does the run to stop, and wait until it has."""
    workspace = Workspace(configuration.workspace)
    holder = workspace.holder()
    if holder is None:
        print(f"nothing runs in {clean(str(workspace.root))}")
        return int(ExitCode.OK)
    _ask(workspace, holder)
    deadline = time.monotonic() + _PATIENCE_S
    while workspace.holder() == holder:
        if time.monotonic() > deadline:
            raise MedvlmError(f"the run was asked to stop and has not ({holder.who})", f"kill {holder.pid}")
        time.sleep(_POLL_S)
    path = run_journal.last_run(workspace.runs)
    last = run_journal.whole_lines(path)[0][-1:] if path is not None else []
    for line in last:
        print(clean(line_of(from_line(line)) or "the run has stopped"))
    return int(ExitCode.OK)


def _ask(workspace: Workspace, holder: Holder) -> None:
    if holder.host != socket.gethostname():
        raise UsageError(f"the run is {holder.who}", f"ssh {holder.host} medvlm-tui cancel")
    if holder.by == "engine" and asyncio.run(_ask_engine(workspace)):
        return
    if not _has_open(holder.pid, workspace.root / LOCK):
        raise UsageError(f"the run is {holder.who}, which cannot be seen from here", "stop it where it was started")
    # An engine that does not answer takes a signal as well as a --batch run does.
    os.kill(holder.pid, signal.SIGTERM)


def _has_open(pid: int, path: Path) -> bool:
    """Return whether a process holds a file open: in another container the same pid is another process."""
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
        return any(link.exists() and link.samefile(path) for link in links)
    except OSError:
        return False


async def _ask_engine(workspace: Workspace) -> bool:
    client = EngineClient(workspace.root)
    try:
        if not await client.connect():
            return False
        await client.send({"cmd": "cancel"})
    except MedvlmError:
        return False
    await client.leave()
    return True
