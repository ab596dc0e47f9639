"""The protocol of a place where the jobs of a run are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from medvlm_tui.core.events import Event
from medvlm_tui.engine.step.job import AnyJob


class Executor(Protocol):
    """A place that does jobs: `engine/step/worker.py` does them in one process of this machine.

    What a job computes lies in the store when its events have ended; nothing else comes back.
    """

    def run(self, job: AnyJob, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Yield the events of a job; raises the MedvlmError that it failed with, Cancelled once `cancelled` says so."""
        ...

    def kill(self) -> None:
        """Abandon the job that is under way; the next one is done as if there had been none."""
        ...

    def close(self) -> None:
        """Release everything that is held: processes, and with them devices."""
        ...
