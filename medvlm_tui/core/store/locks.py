"""Locks between writers and a scrub: writers share a lock, a scrub holds it exclusively.

With the lock a scrub never sees a half-done write, whatever the clock says. There are two locks, because a stream
of shared holders would starve the scrub: every process takes the gate first, and the scrub holds it while it waits.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medvlm_tui.core.atomic_files import open_own


class StoreLock:
    """Locks between processes, for one thread of each; kept by the kernel, gone with the process."""

    def __init__(self, directory: Path, usable: bool = True) -> None:
        """`usable` is False where locks are not to be trusted (network file systems): nothing is locked there."""
        self._directory = directory
        self._usable = usable
        self._gate = self._work = -1

    def close(self) -> None:
        """Release both locks."""
        for descriptor in (self._gate, self._work):
            if descriptor >= 0:
                os.close(descriptor)
        self._gate = self._work = -1

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Yield while the lock for writing is held."""
        if not self._usable:
            yield
            return
        self._open()
        fcntl.flock(self._gate, fcntl.LOCK_SH)
        fcntl.flock(self._work, fcntl.LOCK_SH)
        fcntl.flock(self._gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._work, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Yield while no other process may write; waits for the current writes."""
        if not self._usable:
            yield
            return
        self._open()
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._work, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(self._work, fcntl.LOCK_UN)
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def _open(self) -> None:
        if self._gate < 0:
            self._gate = open_own(self._directory / "gate.lock", os.O_RDWR | os.O_CREAT)
            self._work = open_own(self._directory / "work.lock", os.O_RDWR | os.O_CREAT)
