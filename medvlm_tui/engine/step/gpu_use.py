"""Use of NVIDIA's GPUs by other programs: free memory and processes, as NVML tells them. Imports no torch.

NVML is the library behind nvidia-smi and comes with the driver.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_GB = 2**30
# A GPU with less free memory than both is left to those who use it.
_ROOMY_GB, _ROOMY_SHARE = 8.0, 0.5
_MOST_PROCESSES = 256
_PROHIBITED, _EXCLUSIVE_PROCESS = 2, 3  # NVML_COMPUTEMODE_*
_UNKNOWN_MEMORY = (1 << 64) - 1  # NVML_VALUE_NOT_AVAILABLE


class _Memory(ctypes.Structure):
    """nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Process(ctypes.Structure):
    """nvmlProcessInfo_t since CUDA 11.1."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("memory", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


@dataclass(frozen=True, slots=True)
class GpuUse:
    """Use of one GPU by programs other than this process and its children."""

    free_gb: float
    """Memory that this program can have: free, or held by itself."""
    total_gb: float
    others: int = 0
    """Processes of others that compute on it."""
    unseen: int = 0
    """Processes that cannot be told from our own: their numbers belong to another container."""
    closed: bool = False
    """No further process may compute on it: prohibited, or exclusive and taken by others."""

    @property
    def busy(self) -> bool:
        """True where the GPU should be left to the processes that use it."""
        little = self.free_gb < min(_ROOMY_GB, _ROOMY_SHARE * self.total_gb)
        return self.closed or self.others + self.unseen > 0 or little

    def in_words(self) -> str:
        """Return `2 other processes, 3.1 of 40.0 GB free`."""
        count = self.others + self.unseen
        who = f"{count} other process{'es' if count != 1 else ''}, " if count else ""
        mode = ", closed to further processes" if self.closed else ""
        return f"{who}{self.free_gb:.1f} of {self.total_gb:.1f} GB free{mode}"


def uses_of(uuids: Iterable[str]) -> dict[str, GpuUse]:
    """Return the use of each GPU that NVML describes, by the UUID that the driver gives it (`GPU-...` or `MIG-...`)."""
    wanted = [uuid for uuid in uuids if uuid]
    nvml = load_nvml() if wanted else None
    if nvml is None or nvml.nvmlInit_v2():
        return {}
    try:
        found = {uuid: _use(nvml, uuid) for uuid in wanted}
    finally:
        nvml.nvmlShutdown()
    return {uuid: use for uuid, use in found.items() if use is not None}


def load_nvml() -> ctypes.CDLL | None:
    """Return NVML, None on a machine without it."""
    try:
        return ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None


def _use(nvml: ctypes.CDLL, uuid: str) -> GpuUse | None:
    handle, memory, mode = ctypes.c_void_p(), _Memory(), ctypes.c_int()
    # The driver gives sixteen bytes; NVML names a GPU and a slice of one (MIG) by different prefixes.
    if all(nvml.nvmlDeviceGetHandleByUUID(f"{kind}-{uuid}".encode(), ctypes.byref(handle)) for kind in ("GPU", "MIG")):
        return None
    if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
        return None
    if nvml.nvmlDeviceGetComputeMode(handle, ctypes.byref(mode)):
        mode.value = 0
    ours = others = unseen = 0
    for process in _processes(nvml, handle):
        whose = _whose(process.pid)
        others, unseen = others + (whose == "others"), unseen + (whose == "unseen")
        if whose == "ours" and process.memory != _UNKNOWN_MEMORY:
            ours += process.memory
    taken = mode.value == _EXCLUSIVE_PROCESS and others + unseen > 0
    return GpuUse(
        (memory.free + ours) / _GB, memory.total / _GB, others, unseen, closed=mode.value == _PROHIBITED or taken
    )


def _processes(nvml: ctypes.CDLL, handle: ctypes.c_void_p) -> list[_Process]:
    """Return the processes with a compute context on a GPU; none where the driver does not list them."""
    for version in ("_v3", "_v2"):
        try:
            ask = getattr(nvml, f"nvmlDeviceGetComputeRunningProcesses{version}")
        except AttributeError:  # an older driver
            continue
        count, listed = ctypes.c_uint(_MOST_PROCESSES), (_Process * _MOST_PROCESSES)()
        return [] if ask(handle, ctypes.byref(count), listed) else list(listed[: count.value])
    return []


def _whose(pid: int) -> str:
    """Return `ours` for this process and its children, `others`, or `unseen` for one of another container."""
    seen = False
    while pid > 0:
        if pid == os.getpid():
            return "ours"
        parent = _parent(pid)
        if parent is None:
            break
        seen, pid = True, parent
    return "others" if seen else "unseen"


def _parent(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")), None)
