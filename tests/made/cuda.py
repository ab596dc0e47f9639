"""A stand-in for NVIDIA's driver and for torch's calls to a GPU, which fails as CUDA does.

Tensors of `cuda:i` are made on the CPU, so that a step of `--device cuda:0` runs with its own numbers. What the real
ones refuse is refused here: calls before CUDA is initialised, a card that torch has no kernels for, allocations beyond
the card's memory, and after an error that breaks the context every later call.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import torch

from medvlm_tui.engine.step import cuda_driver, device_session, gpu_choice, gpu_use

GB = 2**30


@dataclass(frozen=True)
class Card:
    """A GPU of the stand-in."""

    name: str = "NVIDIA A100"
    capability: tuple[int, int] = (8, 0)
    memory: int = 40 * GB
    taken: int = 0
    """By other processes."""
    fp32_over_fp64: int = 2
    processes: tuple[int, ...] = ()
    """Numbers of those that compute on it."""
    mode: int = 0
    """0 shared, 2 prohibited, 3 exclusive to one process."""


V100 = Card("Tesla V100", (7, 0), 16 * GB)
T4 = Card("Tesla T4", (7, 5), 16 * GB, fp32_over_fp64=32)
A100 = Card()

# Every sentence by which a full GPU was seen to announce itself, and who says it.
FULL = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ..."),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("HIP out of memory. Tried to allocate"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR, when calling `cusolverDnCreate(handle)`"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
)
# Errors that leave a process without a usable context.
BREAKING = (
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    torch.AcceleratorError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: unspecified launch failure"),
    RuntimeError("CUDA error: uncorrectable ECC error encountered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
)


class Driver:
    """libcuda.so.1 as ctypes sees it: each function returns a code and writes through its references."""

    def __init__(self, cards: Sequence[Card], version: int, code: int) -> None:
        self.cards, self.version, self.code = cards, version, code

    def cuDriverGetVersion(self, number) -> int:
        number._obj.value = self.version
        return 0

    def cuInit(self, _flags: int) -> int:
        return self.code

    def cuDeviceGetCount(self, count) -> int:
        count._obj.value = len(self.cards)
        return 0

    def cuDeviceGet(self, handle, index: int) -> int:
        handle._obj.value = index
        return 0

    def cuDeviceGetName(self, buffer, _size: int, handle) -> int:
        buffer.value = self.cards[handle.value].name.encode()
        return 0

    def cuDeviceTotalMem_v2(self, memory, handle) -> int:
        memory._obj.value = self.cards[handle.value].memory
        return 0

    def cuDeviceGetAttribute(self, value, attribute: int, handle) -> int:
        card = self.cards[handle.value]
        value._obj.value = card.fp32_over_fp64 if attribute == 87 else card.capability[attribute - 75]
        return 0

    def cuDeviceGetUuid_v2(self, uuid, handle) -> int:
        uuid._obj[15] = handle.value + 1
        return 0


class Nvml:
    """libnvidia-ml.so.1 as ctypes sees it."""

    def __init__(self, cards: Sequence[Card]) -> None:
        self.cards, self.started = cards, 0

    def nvmlInit_v2(self) -> int:
        self.started += 1
        return 0

    def nvmlShutdown(self) -> int:
        self.started -= 1
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle) -> int:
        prefix, number = uuid[:4], int(uuid[-12:], 16)
        handle._obj.value = number
        return 0 if prefix == b"GPU-" and self.started and 1 <= number <= len(self.cards) else 6

    def _card(self, handle) -> Card:
        return self.cards[handle.value - 1]

    def nvmlDeviceGetMemoryInfo(self, handle, memory) -> int:
        card, found = self._card(handle), memory._obj
        found.total, found.used, found.free = card.memory, card.taken, card.memory - card.taken
        return 0

    def nvmlDeviceGetComputeMode(self, handle, mode) -> int:
        mode._obj.value = self._card(handle).mode
        return 0

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle, count, listed) -> int:
        numbers = self._card(handle).processes
        count._obj.value = len(numbers)
        for entry, number in zip(listed, numbers, strict=False):
            entry.pid, entry.memory = number, self._card(handle).taken // len(numbers)
        return 0


def plug_in(
    monkeypatch: pytest.MonkeyPatch, *cards: Card, version: int = 13000, torch_cuda: str = "13.0", code: int = 0
) -> None:
    """Give the machine a driver and NVML with these cards, and a torch that was built for a CUDA."""
    monkeypatch.setattr(cuda_driver, "load_driver", lambda: Driver(cards, version, code))
    monkeypatch.setattr(cuda_driver, "torch_cuda_version", lambda: torch_cuda)
    monkeypatch.setattr(gpu_use, "load_nvml", lambda: Nvml(cards))
    monkeypatch.setattr(gpu_choice, "_taken_before", set())
    asked = functools.cache(cuda_driver.cuda_state.__wrapped__)
    monkeypatch.setattr(cuda_driver, "cuda_state", asked)
    for module in ("medvlm_tui.engine.step.devices.cuda_state", "medvlm_tui.commands.doctor.cuda_state"):
        monkeypatch.setattr(module, asked)


@dataclass
class Cuda:
    """torch's side of the stand-in."""

    cards: Sequence[Card] = (A100,)
    arches: Sequence[str] = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
    initialised: bool = False
    broken: RuntimeError | None = None
    """Raised by every call once it is set."""
    largest: int = 1 << 62
    """Bytes of one allocation above which memory is full."""
    full: RuntimeError = FULL[0]
    calls: list[str] = field(default_factory=list)
    emptied: int = 0
    copied: list[tuple[str, torch.dtype]] = field(default_factory=list)
    """(thread, type) of what went over to a GPU."""

    def use(self, name: str) -> None:
        """Do what every call of CUDA begins with."""
        self.calls.append(name)
        if self.broken is not None:
            raise self.broken
        self.initialised = True

    def allocate(self, size: int) -> None:
        """Take memory, or raise as a full card does."""
        self.use("allocate")
        if size > self.largest:
            raise self.full

    def need(self, name: str) -> None:
        """Raise what torch's allocator says before CUDA is initialised."""
        if not self.initialised:
            raise RuntimeError("Invalid device argument ")
        self.use(name)

    def memory(self, _device: object = None) -> tuple[int, int]:
        """Return free bytes and all bytes."""
        self.need("mem_get_info")
        return self.cards[0].memory - self.cards[0].taken, self.cards[0].memory

    def release(self) -> None:
        """Count an `empty_cache`."""
        self.use("empty_cache")
        self.emptied += 1


def _is_cuda(device: object) -> bool:
    return str(device).startswith("cuda")


def stand_in(monkeypatch: pytest.MonkeyPatch, cuda: Cuda) -> Cuda:
    """Put the stand-in in the place of torch.cuda, for all threads; a process opens its GPU anew."""
    monkeypatch.setattr(device_session, "_opened", set())
    # torch keeps its own list of these functions, made when `torch.device` is first a context: with the real ones.
    torch.utils._device._device_constructors()
    calls: dict[str, Callable[..., object]] = {
        "set_device": lambda _: cuda.use("set_device"),
        "init": lambda: cuda.use("init"),
        "is_initialized": lambda: cuda.initialised,
        "is_available": lambda: True,
        "device_count": lambda: len(cuda.cards),
        "get_arch_list": lambda: list(cuda.arches),
        "get_device_capability": lambda device: cuda.cards[int(str(device).partition(":")[2] or 0)].capability,
        "get_device_name": lambda device: cuda.cards[int(str(device).partition(":")[2] or 0)].name,
        "mem_get_info": cuda.memory,
        "memory_reserved": lambda _=None: 0,
        "max_memory_allocated": lambda _=None: 0,
        "reset_peak_memory_stats": lambda _=None: cuda.need("reset_peak_memory_stats"),
        "empty_cache": cuda.release,
        "synchronize": lambda _=None: cuda.use("synchronize"),
        "Stream": lambda *_: Stream(),
        "Event": lambda *_, **__: Stream(),
        "stream": _on_stream,
        "current_stream": lambda *_: Stream(),
    }
    for name, call in calls.items():
        monkeypatch.setattr(torch.cuda, name, call)
    for name in ("empty", "zeros", "ones", "full", "arange", "tensor", "randn", "as_tensor"):
        monkeypatch.setattr(torch, name, _factory(getattr(torch, name), cuda))
    monkeypatch.setattr(torch.Tensor, "to", _mover(torch.Tensor.to, cuda))
    plain = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda kind, **given: plain("cpu" if kind == "cuda" else kind, **given))
    return cuda


class Stream:
    """A stream or an event: everything is done when it is asked for."""

    def wait_event(self, _event: object) -> None: ...

    def record(self, _stream: object = None) -> None: ...

    def synchronize(self) -> None: ...

    def query(self) -> bool:
        return True


@contextmanager
def _on_stream(_stream: object):
    yield


def _factory(make: Callable[..., torch.Tensor], cuda: Cuda) -> Callable[..., torch.Tensor]:
    @functools.wraps(make)
    def made(*given: object, **named: object) -> torch.Tensor:
        named.pop("pin_memory", None)
        if not _is_cuda(named.get("device", "")):
            return make(*given, **named)
        result = make(*given, **{**named, "device": "cpu"})
        cuda.allocate(result.nelement() * result.element_size())
        return result

    return made


def _mover(to: Callable[..., torch.Tensor], cuda: Cuda) -> Callable[..., torch.Tensor]:
    @functools.wraps(to)
    def moved(self: torch.Tensor, *given: object, **named: object) -> torch.Tensor:
        if any(_is_cuda(each) for each in (*given, named.get("device", ""))):
            cuda.copied.append((threading.current_thread().name, self.dtype))
            cuda.allocate(self.nelement() * self.element_size())
        given = tuple("cpu" if _is_cuda(each) else each for each in given)
        if _is_cuda(named.get("device", "")):
            named["device"] = "cpu"
        return to(self, *given, **named)

    return moved
