"""Device, precision and batch size. Knows CUDA through its driver, so that a plan needs no torch."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from medvlm_tui.core.specs import Precision
from medvlm_tui.errors import MedvlmError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_BF16_CAPABILITY = (8, 0)
_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """A GPU as its driver describes it."""

    name: str
    capability: tuple[int, int]
    memory_gb: float


@dataclass(frozen=True, slots=True)
class Device:
    """What the work runs on."""

    device: str
    """`cpu` or `cuda:0`, as torch names it."""
    name: str
    precision: Precision
    memory_gb: float | None = None


def choose(device: str = "auto", precision: str = "auto") -> Device:
    """Resolve `auto`, `cpu`, `cuda` or `cuda:i` and a precision; raises UsageError when that is not here.

    Precision `auto` is bf16 on a GPU that has it, fp16 on an older one, fp32 on the CPU.
    """
    return every(device, precision)[0]


def every(device: str = "auto", precision: str = "auto") -> tuple[Device, ...]:
    """Resolve as `choose`, to all devices that share the work: `auto` and `cuda` mean every GPU of this machine."""
    if precision not in ("auto", "fp32", "bf16", "fp16"):
        raise UsageError(f"unknown precision {precision!r}", "one of auto, fp32, bf16, fp16")
    gpus = cuda_devices() if device != "cpu" else ()
    if device == "cpu" or (device == "auto" and not gpus):
        return (Device("cpu", "CPU", _named(precision, "fp32")),)
    match = re.fullmatch(r"auto|cuda(?::(\d+))?", device)
    if match is None:
        raise UsageError(f"unknown device {device!r}", "one of auto, cpu, cuda, cuda:0, cuda:1, ...")
    wanted = range(len(gpus)) if match.group(1) is None else [int(match.group(1))]
    if not wanted or wanted[0] >= len(gpus):
        found = f"{len(gpus)} usable GPU" + ("s" if len(gpus) != 1 else "")
        raise UsageError(f"device {device} is not here: {found}", "use --device cpu, or a torch built for CUDA")
    # One precision for all: it is part of the key of their common features.
    automatic: Precision = "bf16" if all(gpus[i].capability >= _BF16_CAPABILITY for i in wanted) else "fp16"
    named = _named(precision, automatic)
    return tuple(Device(f"cuda:{i}", gpus[i].name, named, gpus[i].memory_gb) for i in wanted)


def cpu_has_bf16() -> bool:
    """Say whether the CPU multiplies bf16 matrices in hardware (AMX or AVX512-BF16); elsewhere bf16 is slower."""
    return not _BF16_FLAGS.isdisjoint(_cpu_lines().get("flags", "").split())


def cpu_name() -> str:
    """Return the CPU's model name, `CPU` where it has none."""
    return _cpu_lines().get("model name", "CPU")


@cache
def _cpu_lines() -> dict[str, str]:
    """Return the first CPU's lines of /proc/cpuinfo; none where there is no such file."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _named(precision: str, automatic: Precision) -> Precision:
    if precision == "bf16":
        return "bf16"
    if precision == "fp16":
        return "fp16"
    return "fp32" if precision == "fp32" else automatic


@cache
def cuda_devices() -> tuple[CudaDevice, ...]:
    """Return the GPUs that both the driver and the installed torch can use (CUDA_VISIBLE_DEVICES respected)."""
    if not _torch_has_cuda():
        return ()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    return tuple(_describe(driver, index) for index in range(count.value))


def _describe(driver: ctypes.CDLL, index: int) -> CudaDevice:
    handle, value, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    driver.cuDeviceGet(ctypes.byref(handle), index)
    name = ctypes.create_string_buffer(128)
    driver.cuDeviceGetName(name, len(name), handle)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    capability = []
    for attribute in (_MAJOR, _MINOR):
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, handle)
        capability.append(value.value)
    return CudaDevice(name.value.decode(errors="replace"), (capability[0], capability[1]), memory.value / 2**30)


def _torch_has_cuda() -> bool:
    """Read torch's version file instead of importing torch, which takes seconds."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        return False
    text = Path(found.origin).with_name("version.py").read_text(encoding="utf-8")
    return re.search(r"^cuda\b[^=\n]*=\s*['\"]", text, re.MULTILINE) is not None


def default_batch_size(device: str, size_px: int) -> int:
    """Return a power of two: 128 images of 224 px on a GPU, 32 on a CPU, fewer of larger ones."""
    largest = 128 if device.startswith("cuda") else 32
    wanted = largest * (224 / size_px) ** 2
    size = largest
    while size > 1 and size > wanted:
        size //= 2
    return size


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that the batch was too large for the device."""
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError"
        or "out of memory" in str(error).lower()
        or "can't allocate memory" in str(error)
        or "_ALLOC_FAILED" in str(error)  # of cuBLAS and cuSOLVER
    )


def with_back_off(
    work: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    batch_size: int,
    release: Callable[[], None] = lambda: None,
) -> tuple[list[Result], int]:
    """Call `work` on consecutive parts of `items`, halving the part whenever the device runs out of memory.

    Returns the results in order and the batch size that worked, with which the next call begins. `release`
    frees what the failed try left behind. Raises MedvlmError when even one item does not fit.
    """
    results: list[Result] = []
    begin = 0
    while begin < len(items):
        try:
            results.append(work(items[begin : begin + batch_size]))
            begin += batch_size
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            batch_size = _half(min(batch_size, len(items) - begin), error)
            release()
    return results, batch_size


def _half(batch_size: int, error: RuntimeError) -> int:
    if batch_size <= 1:
        raise MedvlmError(
            "one image alone does not fit into the device's memory", "use --device cpu, or --precision bf16"
        ) from error
    return batch_size // 2
