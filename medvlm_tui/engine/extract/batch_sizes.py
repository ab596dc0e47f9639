"""How many images go through the network at a time: what the user says, what was found before, or a probe."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.job import Job

SUBJECT = "batch_size"
LARGEST = 256
"""A batch never crosses a block of the journal."""
_SMALLEST = 8
# A larger batch must pay for the memory it takes.
_GAIN = 1.05


def chosen(job: Job, store: Store, encoder: Encoder, machine: devices.Device) -> int:
    """Return the batch size to begin with.

    On a GPU it is probed once for each encoder and device. On a CPU it is fixed by the image's size: speed hardly
    depends on it there, and a fixed size gives the same bytes in every run.
    """
    if job.request.batch_size:
        return job.request.batch_size
    known = store.measured.of(SUBJECT, key_of(job, machine))
    if isinstance(known, int) and 1 <= known <= LARGEST:
        return known
    default = devices.default_batch_size(machine.device, job.model.preprocess.size_px)
    if not machine.device.startswith("cuda"):
        return default
    found = probed(lambda size: _seconds(encoder, size), LARGEST)
    store.measured.note(SUBJECT, key_of(job, machine), found)
    return found


def remember(job: Job, store: Store, machine: devices.Device, size: int) -> None:
    """Keep a size that was halved because the device ran out of memory."""
    if not job.request.batch_size:
        store.measured.note(SUBJECT, key_of(job, machine), size)


def key_of(job: Job, machine: devices.Device) -> str:
    """Name the encoder and the device."""
    return f"{job.encoder.digest}@{machine.name}"


def probed(seconds: Callable[[int], float], largest: int) -> int:
    """Double the batch while that is faster an image by 5 % and fits; `seconds(size)` times one batch."""
    best, best_rate = 1, 0.0
    size = _SMALLEST
    while size <= largest:
        try:
            rate = size / seconds(size)
        except RuntimeError as error:
            if not devices.is_out_of_memory(error):
                raise
            break
        if rate < best_rate * _GAIN:
            break
        best, best_rate = size, rate
        size *= 2
    return best


def _seconds(encoder: Encoder, size: int) -> float:
    """Time one forward pass after a first one, which chooses kernels."""
    side = encoder.spec.preprocess.size_px
    pixels = torch.zeros((size, 3, side, side), device=encoder.device)
    encoder.encode(pixels)
    began = time.perf_counter()
    encoder.encode(pixels)
    return time.perf_counter() - began
