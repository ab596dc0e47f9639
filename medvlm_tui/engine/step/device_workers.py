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
# They end with this process.
_workers: dict[int, Worker] = {}


@contextmanager
def running(jobs: Mapping[int, AnyJob], context: StepContext) -> Iterator[queue.Queue[Said]]:
    """Run each job in the worker of its number, and lend the queue of what they say; leaving it stops them."""
    said: queue.Queue[Said] = queue.Queue()
    stop = threading.Event()
    threads = [threading.Thread(target=_drive, args=(number, jobs[number], context, stop, said)) for number in jobs]
    for thread in threads:
        thread.start()
    try:
        yield said
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def worker(store: Path, number: int) -> Worker:
    """Return the worker of a number; its process starts with its first job."""
    if number not in _workers:
        logs = Workspace(store.parent).logs
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        _workers[number] = Worker(store, logs / f"worker-{number}.log")
    return _workers[number]


def end_workers() -> None:
    """End the processes that are kept."""
    while _workers:
        _workers.popitem()[1].close()


def _drive(number: int, job: AnyJob, context: StepContext, stop: threading.Event, said: queue.Queue[Said]) -> None:
    try:
        for event in worker(context.store.directory, number).run(job, lambda: stop.is_set() or context.cancelled()):
            said.put((number, event))
        said.put((number, None))
    except MedvlmError as error:
        said.put((number, error))
    except Exception as error:
        said.put((number, MedvlmError(f"{type(error).__name__}: {error}", "this should not happen")))
