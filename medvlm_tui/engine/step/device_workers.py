"""One worker process for each further device of a run, kept from step to step so that each loads a model once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from medvlm_tui.core.events import Event
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.step.job import AnyJob, StepContext
from medvlm_tui.engine.step.worker import Worker
from medvlm_tui.errors import MedvlmError

Said = tuple[int, Event | MedvlmError | None]
"""Number of the worker, and its word: an event, the error that ended its job, or None as the last word of a job that
ended well."""


class DeviceWorkers:
    """The worker processes, by their number; they end with the worker that started them."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}

    def get(self, store: Path, number: int) -> Worker:
        """Return the worker of a number; its process starts with its first job."""
        if number not in self._workers:
            logs = Workspace(store.parent).logs
            logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._workers[number] = Worker(store, logs / f"worker-{number}.log")
        return self._workers[number]

    def close(self) -> None:
        """End the processes."""
        while self._workers:
            self._workers.popitem()[1].close()


@contextmanager
def running(jobs: Mapping[int, AnyJob], context: StepContext) -> Iterator[queue.Queue[Said]]:
    """Run each job in the worker of its number, and lend the queue of what they say; leaving it stops them."""
    said: queue.Queue[Said] = queue.Queue()
    stop = threading.Event()
    kept = context.resources.of(DeviceWorkers)

    def drive(number: int, worker: Worker) -> None:
        """Run one worker's job and pass on what it says."""
        try:
            for event in worker.run(jobs[number], lambda: stop.is_set() or context.cancelled()):
                said.put((number, event))
            said.put((number, None))
        except MedvlmError as error:
            said.put((number, error))
        except Exception as error:
            said.put((number, MedvlmError(f"{type(error).__name__}: {error}", "this should not happen")))

    workers = {number: kept.get(context.store.directory, number) for number in jobs}
    threads = [threading.Thread(target=drive, args=item) for item in workers.items()]
    for thread in threads:
        thread.start()
    try:
        yield said
    finally:
        stop.set()
        for thread in threads:
            thread.join()
