"""Whole models dealt to several devices: while one is extracted, the other devices extract the models after it.

On a small data set a model takes longer to load than to run, and blocks dealt out would have every device load every
model. Rows go to the journal, where the step of each model finds them when its turn comes.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from medvlm_tui.core.events import Event, Log, ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.engine.extract.batches import workers_per_device
from medvlm_tui.engine.extract.blocks import Extraction, extract
from medvlm_tui.engine.step.device_workers import Said, running
from medvlm_tui.engine.step.devices import Device
from medvlm_tui.engine.step.job import CellJob
from medvlm_tui.errors import MedvlmError

# Images for each device above which blocks are dealt out instead: all devices then work long enough on one model.
_FEW_IMAGES = 2048
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class ComputedAhead:
    """The way in which the features of a model were computed, for the record of its own step."""

    machine: Device
    batch_size: int
    workers: int
    rate: float
    images: int


_computed: dict[str, ComputedAhead] = {}
"""Key of a feature table -> how its rows came to be."""


def deals_models(work: Extraction, machines: Sequence[Device]) -> bool:
    """Return whether the devices take models of their own rather than blocks of one."""
    return len(machines) > 1 and bool(work.job.models_ahead) and len(work.todo) <= _FEW_IMAGES * len(machines)


def computed_ahead(key: str) -> ComputedAhead | None:
    """Return how the rows of a table were computed during an earlier step of this process, once."""
    return _computed.pop(key, None)


def extract_models(work: Extraction, machines: Sequence[Device]) -> Iterator[Event]:
    """Extract `work` on the first device and the models after it on the others.

    Raises what `extract` raises. What goes wrong with a later model is told by its own step.
    """
    jobs = dict(zip(range(1, len(machines)), work.job.models_ahead, strict=False))
    dealt = workers_per_device(machines[0].device, work.todo, len(jobs) + 1, work.job.request.workers)
    work.job = replace(work.job, request=replace(work.job.request, workers=dealt[0]))
    shares = {number: _share(job, machines[number], dealt[number]) for number, job in jobs.items()}
    with running(shares, work.context) as said:
        yield from extract(work)
        yield from _rest(work, said, jobs, machines)


def _share(job: CellJob, machine: Device, workers: int) -> CellJob:
    step = Step(job.step.id, "extract_shard", job.step.model, job.step.dataset, {"device": machine.device})
    return replace(job, step=step, request=replace(job.request, workers=workers))


def _rest(
    work: Extraction, said: queue.Queue[Said], jobs: Mapping[int, CellJob], machines: Sequence[Device]
) -> Iterator[Event]:
    """Yield the later models' messages until all of them have ended."""
    running_now = len(jobs)
    while running_now:
        work.context.check()
        try:
            number, word = said.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if word is None or isinstance(word, MedvlmError):
            running_now -= 1
        elif isinstance(word, ResultReady):
            _note(jobs[number], machines[number], word.summary)
        elif isinstance(word, Log):
            yield word


def _note(job: CellJob, machine: Device, summary: Mapping[str, object]) -> None:
    numbers = {name: summary[name] for name in ("batch_size", "workers", "rate", "images")}
    _computed[job.step.key] = ComputedAhead(machine, **numbers)  # type: ignore[arg-type]
