"""Cancellation of a worker's job: the job's number is sent through a pipe.

Not by an Event of multiprocessing: its semaphores have names in /dev/shm, which stay when the whole group of processes
is killed.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from multiprocessing.connection import Connection


class Canceller:
    """The end that asks: numbers the jobs, and asks to stop the last one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._number = 0

    def next_job(self) -> int:
        """Return the number that the next job is sent with."""
        self._number += 1
        return self._number

    def cancel(self) -> None:
        """Ask to stop the job that was numbered last; a worker that died is not asked any more."""
        with suppress(OSError):
            self._connection.send_bytes(str(self._number).encode())

    def close(self) -> None:
        """Close the pipe."""
        self._connection.close()


class Cancellation:
    """The worker's end. Its threads may ask all at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._job = self._cancelled = 0

    def begin(self, job: int) -> None:
        """Note which job is worked on; what was asked of earlier ones does not hold for it."""
        self._job = job

    def is_set(self) -> bool:
        """Return whether the job was asked to stop."""
        with self._lock, suppress(EOFError, OSError):  # without its other end, the process ends by itself
            while self._connection.poll():
                self._cancelled = int(self._connection.recv_bytes())
        return self._cancelled >= self._job
