"""The number of images that go through the network at a time: given by the user, measured before, or measured now."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_memory import is_out_of_memory, memory_of, release_memory
from medvlm_tui.engine.step.job import CellJob

SUBJECT = "batch_size"
LARGEST = 256
"""A batch never crosses a block of the journal."""
_SMALLEST = 8
# A larger batch must pay for the memory it takes.
_GAIN = 1.05
# Of the memory that this process can have, kept free for fragments and for other users of the GPU.
_HEAD_ROOM = 0.15
# Above this share of the GPU in other hands, a size that memory limited says nothing about the GPU.
_OTHERS = 0.05
_TIMINGS = 3
# Batches of bytes on the GPU beside the one in the network: one waits, one is being copied.
_BATCHES_WAITING = 2

Timing = Callable[[int], float]
"""Seconds of one batch of a size; infinite when it leaves too little memory."""


def chosen(job: CellJob, store: Store, encoder: Encoder, machine: devices.Device, largest: int = LARGEST) -> int:
    """Return the batch size to begin with, at most `largest`.

    On a GPU it is measured once for each encoder and kind of GPU, and remembered unless the memory that other processes
    hold limited it. On a CPU it is fixed by the image's size: speed hardly depends on it there, and a fixed size gives
    the same bytes in every run.
    """
    if job.request.batch_size:
        return min(job.request.batch_size, largest)
    known = store.measured.of(SUBJECT, key_of(job, machine))
    if isinstance(known, int) and 1 <= known <= LARGEST:
        return min(known, largest)
    default = devices.default_batch_size(machine.device, job.model.preprocess.size_px)
    if not machine.device.startswith("cuda"):
        return min(default, largest)
    others = _share_of_others(encoder.device)
    size, limited = probed(lambda size: _seconds(encoder, size), largest)
    release_memory()
    if not (limited and others > _OTHERS):
        store.measured.note(SUBJECT, key_of(job, machine), size)
    return size


def key_of(job: CellJob, machine: devices.Device) -> str:
    """Return the name of the encoder and the kind of device."""
    return f"{job.encoder.digest}@{machine.name}"


def probed(seconds: Timing, largest: int) -> tuple[int, bool]:
    """Double the batch while that is faster per image by 5 % and fits; return it, and whether memory ended it."""
    best, best_rate = 1, 0.0
    size = _SMALLEST
    while size <= largest:
        taken = _timed(seconds, size)
        if taken == float("inf"):
            return best, True
        if size / taken < best_rate * _GAIN:
            break
        best, best_rate = size, size / taken
        size *= 2
    return best, False


def _timed(seconds: Timing, size: int) -> float:
    """Return the least of three timings, infinity when the size does not fit."""
    try:
        return min(seconds(size) for _ in range(_TIMINGS))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    release_memory()
    return float("inf")


def _seconds(encoder: Encoder, size: int) -> float:
    """Time one forward pass after a first one, which chooses kernels, beside the batches that a run keeps waiting."""
    side = encoder.spec.preprocess.size_px
    waiting = torch.empty((_BATCHES_WAITING * size, side, side, 3), dtype=torch.uint8, device=encoder.device)
    pixels = torch.zeros((size, 3, side, side), device=encoder.device)
    torch.cuda.reset_peak_memory_stats(encoder.device)
    encoder.encode(pixels)
    began = time.perf_counter()
    encoder.encode(pixels)
    taken = time.perf_counter() - began
    del waiting
    return taken if _has_head_room(encoder.device) else float("inf")


def _has_head_room(device: str) -> bool:
    """Return whether the peak of this process leaves 15 % of the memory that it can have."""
    memory = memory_of(device)
    if memory is None:
        return True
    free, _, ours = memory
    return torch.cuda.max_memory_allocated(device) <= (1 - _HEAD_ROOM) * (free + ours)


def _share_of_others(device: str) -> float:
    """Return the share of a GPU's memory that this process does not hold, and cannot have."""
    memory = memory_of(device)
    if memory is None:
        return 0.0
    free, total, ours = memory
    return max(0, total - free - ours) / total
