"""The most memory that a step took on its device."""

from __future__ import annotations

from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start_counting(device: str) -> None:
    """Forget earlier peaks, of a model that this process held before."""
    if device.startswith("cuda"):
        # In a process that has not used a GPU yet the call fails, and the peak is 0.
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _CLEAR.write_text("5")  # the kernel's name for the peak of the resident memory
    except OSError:  # another system, or a container that forbids it: the peak is then the process's
        return


def peak_bytes(device: str) -> int | None:
    """Return the peak since then: of the GPU's allocations, else of this process's resident memory, None if unknown."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
