"""Shutdown of the interface: quit key, signals, a lost terminal, an unexpected error."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Timer

from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.secrets import redact
from medvlm_tui.core.workspace.logs import note_defect
from medvlm_tui.errors import ExitCode, StoreError

# Putting a terminal back takes some milliseconds; one that is gone may never take what is written to it.
_PATIENCE_S = 3.0


def attach_line(workspace: Path) -> str:
    """Return the command line that comes back to a workspace's run."""
    return clean(shlex.join(["medvlm-tui", "--workspace", str(workspace), "attach"]))


def farewell(workspace: Path) -> str:
    """Return what is said on the terminal after the screens were left with a run under way."""
    line = attach_line(workspace)
    return f"The run goes on. Come back: {line}\nEnd it:                    {line.removesuffix('attach')}cancel\n"


def heed_signals(leave: Callable[[int], object]) -> None:
    """Call `leave` with the exit code at SIGTERM and SIGHUP, which puts the terminal back; the run goes on.

    The process ends after some seconds in any case: a terminal that is gone may never take what is written to it.
    """

    def end() -> None:
        timer = Timer(_PATIENCE_S, os._exit, [int(ExitCode.INTERRUPTED)])
        timer.daemon = True
        timer.start()
        leave(int(ExitCode.INTERRUPTED))

    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end)


def say_farewell(workspace: Path) -> None:
    """Print on the terminal that the run continues."""
    with suppress(OSError):  # the terminal may be gone
        sys.stdout.write(farewell(workspace))
        sys.stdout.flush()


def crash_note(workspace: Path, error: BaseException | None) -> Text:
    """Write a defect's traceback to the log, and return what is said of it on the terminal."""
    log = workspace / "logs" / "tui.log"
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note_defect(log, error or RuntimeError("no exception"))
    except (OSError, StoreError) as refused:
        return Text(redact(f"medvlm-tui: {error!r}\n  the log cannot be written: {refused}"))
    name = clean(redact(f"{type(error).__name__}: {error}"))
    return Text(f"medvlm-tui: unexpected error: {name}\n  the traceback is in {clean(str(log))}\n")
