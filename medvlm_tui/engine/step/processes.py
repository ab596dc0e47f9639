"""Needs of every child process: to end with its parent, and a cause of death in words."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait


def cause_of_death(code: int | None) -> str:
    """Return how a process ended, by its exit code as `multiprocessing` gives it: `signal SIGKILL`, `exit code 3`."""
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def end_with_parent() -> None:
    """Start a thread that ends this process as soon as its parent is gone, even in the middle of its work."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
