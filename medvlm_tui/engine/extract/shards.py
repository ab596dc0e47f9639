"""An extraction spread over the devices of one machine: a worker process each, blocks dealt out by their number."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.extract.batches import workers_per_device
from medvlm_tui.engine.extract.blocks import BLOCK_IMAGES, Extraction
from medvlm_tui.engine.step.devices import Device
from medvlm_tui.engine.step.job import CellJob
from medvlm_tui.engine.step.worker import Worker
from medvlm_tui.errors import MedvlmError

_Said = tuple[int, Event | MedvlmError | None]


def extract_sharded(work: Extraction, machines: Sequence[Device]) -> Iterator[Event]:
    """Encode `work.todo` on all machines, in batches of one size. Raises the first shard's error."""
    yield from _measure_batch_size(work, machines[0])
    began = time.monotonic()
    said: queue.Queue[_Said] = queue.Queue()
    stop = threading.Event()
    kept, store = work.context.resources.of(ShardWorkers), work.context.store.directory
    drives = [_Drive(n, kept.get(n, store), job) for n, job in enumerate(_jobs(work, machines))]
    threads = [threading.Thread(target=_drive, args=(work, drive, stop, said)) for drive in drives]
    yield work.progress.start()
    for thread in threads:
        thread.start()
    try:
        yield from _merged(work, said, len(threads))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    wanted = {sample.digest for sample in work.todo}
    for digests, block in work.context.store.blocks(work.job.encoder, wanted):
        work.rows.update((d, row) for d, row in zip(digests, block, strict=True) if d in wanted)
    work.rate = len(work.todo) / max(time.monotonic() - began, 1e-9)


def shares(todo: Sequence[Sample], count: int) -> list[list[Sample]]:
    """Deal the blocks out: block i to share i mod count, so that blocks are the same on any number of devices."""
    blocks = [todo[begin : begin + BLOCK_IMAGES] for begin in range(0, len(todo), BLOCK_IMAGES)]
    return [[sample for block in blocks[n::count] for sample in block] for n in range(min(count, len(blocks)))]


def _measure_batch_size(work: Extraction, machine: Device) -> Iterator[Event]:
    """Yield the events of the first device's worker while it chooses the batch size for all devices.

    The worker keeps the model that it loads for that.
    """
    if work.job.request.batch_size:
        work.batch_size = work.job.request.batch_size
        return
    params = {"device": machine.device, "only_measure": True}
    step = Step(work.job.step.id, "extract_shard", work.job.model.id, work.job.step.dataset, params)
    worker = work.context.resources.of(ShardWorkers).get(0, work.context.store.directory)
    for event in worker.run(replace(work.job, step=step), work.context.cancelled):
        if isinstance(event, ResultReady):
            work.batch_size = event.summary["batch_size"]
        elif not isinstance(event, StepProgress):
            yield event


def _jobs(work: Extraction, machines: Sequence[Device]) -> list[CellJob]:
    job = work.job
    dealt = shares(work.todo, len(machines))
    workers = workers_per_device(machines[0].device, work.todo, len(dealt), job.request.workers)
    made = []
    for number, share in enumerate(dealt):
        request = replace(job.request, workers=workers[number], batch_size=work.batch_size)
        params = {"device": machines[number].device, "processes": len(dealt)}
        step = Step(job.step.id, "extract_shard", job.model.id, job.step.dataset, params)
        dataset = replace(job.dataset, samples=tuple(share))
        made.append(replace(job, step=step, request=request, dataset=dataset))
    return made


@dataclass(frozen=True, slots=True)
class _Drive:
    """One device's share of the work, with the worker that does it."""

    number: int
    worker: Worker
    job: CellJob


def _drive(work: Extraction, drive: _Drive, stop: threading.Event, said: queue.Queue[_Said]) -> None:
    """Run one shard's worker and pass on what it says; None is the last word."""
    try:
        for event in drive.worker.run(drive.job, lambda: stop.is_set() or work.context.cancelled()):
            said.put((drive.number, event))
        said.put((drive.number, None))
    except MedvlmError as error:
        said.put((drive.number, error))
    except Exception as error:
        said.put((drive.number, MedvlmError(f"{type(error).__name__}: {error}", "this should not happen")))


class ShardWorkers:
    """The worker processes of the devices, kept from dataset to dataset so that each device loads a model once."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}

    def get(self, number: int, store: Path) -> Worker:
        """Return the worker of a device by its number."""
        if number not in self._workers:
            logs = Workspace(store.parent).logs
            logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._workers[number] = Worker(store, logs / f"worker-{number}.log")
        return self._workers[number]

    def close(self) -> None:
        """End the processes."""
        while self._workers:
            self._workers.popitem()[1].close()


def _merged(work: Extraction, said: queue.Queue[_Said], running: int) -> Iterator[Event]:
    latest: dict[int, StepProgress] = {}
    while running:
        number, event = said.get()
        if isinstance(event, MedvlmError):
            work.context.check()
            raise event
        if event is None:
            running -= 1
        elif isinstance(event, StepProgress):
            before, latest[number] = latest.get(number), event
            newly = max(0, event.done - before.done) if before else event.done
            yield from (_of_all(said, latest.values()) for said in work.progress.add(newly))
        elif isinstance(event, ResultReady):
            work.failed.update(event.summary["failed"])
            work.batch_size = min(work.batch_size, event.summary["batch_size"])
            work.workers += event.summary["workers"]
            work.parameters, work.tensors = event.summary["parameters"], event.summary["tensors"]
        else:
            yield event


def _of_all(progress: StepProgress, shards: Collection[StepProgress]) -> StepProgress:
    """Return the progress of all devices together: their mean waiting, and the sum of the images that they left out."""
    waiting = [shard.waiting for shard in shards if shard.waiting is not None]
    return replace(
        progress,
        waiting=sum(waiting) / len(waiting) if waiting else None,
        quarantined=sum(shard.quarantined or 0 for shard in shards),
    )
