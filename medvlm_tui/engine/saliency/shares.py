"""RISE on several devices: ranges of masks dealt out, whose scores the step finds in the store when it comes to them.

The step itself scores the first of every n ranges on the first device; the others have a worker each, which reads the
images and loads the model once. Scores depend on the range and not on who computes it.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from medvlm_tui.core.events import Event, Log, ResultReady
from medvlm_tui.engine.step.device_workers import Said, running
from medvlm_tui.engine.step.devices import Device
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError

_POLL_S = 0.1


class Shares:
    """The ranges that other devices score."""

    def __init__(self, job: CellJob, context: StepContext, said: queue.Queue[Said], ranges: dict[int, int]) -> None:
        """`ranges`: number of a range -> number of the worker that scores it."""
        self._job, self._context, self._said, self._ranges = job, context, said, ranges
        self._ended: set[int] = set()

    def wait(self, chunk: int) -> Iterator[Event]:
        """Yield warnings until a range is scored; at once for one that no other device scores, or whose worker failed.

        What a worker leaves undone, the step computes itself.
        """
        while chunk in self._ranges and self._ranges[chunk] not in self._ended:
            self._context.check()
            try:
                number, word = self._said.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if isinstance(word, ResultReady):
                self._ranges.pop(int(word.summary["chunk"]), None)
            elif isinstance(word, Log):
                yield word
            elif word is None or isinstance(word, MedvlmError):
                self._ended.add(number)
                if word is not None:
                    yield Log("warning", f"a further device stopped: {word.message}", self._job.step.id)


@contextmanager
def shared(job: CellJob, context: StepContext, machines: Sequence[Device], missing: Sequence[int]) -> Iterator[Shares]:
    """Deal the missing ranges out, range i of them to device i mod n, and lend what the other devices do."""
    count = min(len(machines), len(missing))
    jobs = {number: _share(job, machines[number], missing[number::count]) for number in range(1, count)}
    ranges = {chunk: number for number in jobs for chunk in missing[number::count]}
    with running(jobs, context) as said:
        yield Shares(job, context, said, ranges)


def _share(job: CellJob, machine: Device, chunks: Sequence[int]) -> CellJob:
    # The key stays: the scores in the store are those of the step.
    step = replace(job.step, kind="saliency_share", params={**job.step.params, "chunks": list(chunks)})
    return replace(job, step=step, request=replace(job.request, device=machine.device))
