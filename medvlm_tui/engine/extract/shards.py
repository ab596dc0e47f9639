"""An extraction spread over the devices of one machine: a worker process each, blocks dealt out by their number."""

from __future__ import annotations

import queue
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.extract.batches import workers_per_device
from medvlm_tui.engine.extract.blocks import BLOCK_IMAGES, Extraction
from medvlm_tui.engine.step.device_workers import DeviceWorkers, Said, running
from medvlm_tui.engine.step.devices import Device
from medvlm_tui.engine.step.job import CellJob
from medvlm_tui.errors import MedvlmError


def extract_sharded(work: Extraction, machines: Sequence[Device]) -> Iterator[Event]:
    """Encode `work.todo` on all machines, in batches of one size. Raises the first shard's error."""
    yield from _measure_batch_size(work, machines[0])
    began = time.monotonic()
    jobs = _jobs(work, machines)
    yield work.progress.start()
    with running(dict(enumerate(jobs)), work.context) as said:
        yield from _merged(work, said, len(jobs))
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
    worker = work.context.resources.of(DeviceWorkers).get(work.context.store.directory, 0)
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
        step = Step(job.step.id, "extract_shard", job.model.id, job.step.dataset, {"device": machines[number].device})
        dataset = replace(job.dataset, samples=tuple(share))
        made.append(replace(job, step=step, request=request, dataset=dataset))
    return made


def _merged(work: Extraction, said: queue.Queue[Said], running: int) -> Iterator[Event]:
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
