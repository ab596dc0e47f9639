"""The device and precision of a run, and the default batch size. Needs no torch: NVIDIA's driver is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from medvlm_tui.core.specs import Precision
from medvlm_tui.engine.step.cuda_driver import CudaDevice, cuda_state
from medvlm_tui.errors import UsageError

_BF16_CAPABILITY = (8, 0)
# float32 over float64 rate up to which float64 work belongs on the GPU; above it, 16 CPU cores are as fast.
_FAST_FP64 = 4
_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
_WITHOUT = "use --device cpu; `medvlm-tui doctor` says which GPUs torch can use"


@dataclass(frozen=True, slots=True)
class Device:
    """Device that the work runs on."""

    device: str
    """`cpu` or `cuda:0`, as torch names it."""
    name: str
    precision: Precision
    memory_gb: float | None = None
    fast_float64: bool = True
    """It computes in float64 at a quarter of its float32 rate or more."""
    warning: str = ""
    """Which GPUs are here and not used, and why; a warning of the plan."""


def choose(device: str = "auto", precision: str = "auto") -> Device:
    """Resolve `auto`, `cpu`, `cuda` or `cuda:i` and a precision; raises UsageError when that is not here.

    Precision `auto` is bf16 on a GPU that has it, fp16 on an older one, fp32 on the CPU.
    """
    return every(device, precision)[0]


def every(device: str = "auto", precision: str = "auto") -> tuple[Device, ...]:
    """Resolve as `choose`, to all devices that share the work: `auto` and `cuda` mean every GPU of this machine.

    GPUs that the installed torch cannot use are left out; `auto` takes the CPU where none is left. Both are said in
    `Device.warning`.
    """
    if precision not in ("auto", "fp32", "bf16", "fp16"):
        raise UsageError(f"unknown precision {precision!r}", "one of auto, fp32, bf16, fp16")
    if device == "cpu":
        return (Device("cpu", "CPU", _named(precision, "fp32")),)
    match = re.fullmatch(r"auto|cuda(?::(\d+))?", device)
    if match is None:
        raise UsageError(f"unknown device {device!r}", "one of auto, cpu, cuda, cuda:0, cuda:1, ...")
    problem, gpus = cuda_problem(), cuda_devices()
    usable = [] if problem else [i for i, gpu in enumerate(gpus) if not gpu.refusal]
    if device == "auto" and not usable:
        return (
            Device("cpu", "CPU", _named(precision, "fp32"), warning=f"{problem}: the CPU is used" if problem else ""),
        )
    wanted = usable if match.group(1) is None else [_one(int(match.group(1)), gpus, problem)]
    if not wanted:
        raise UsageError(problem or f"device {device} is not here: no NVIDIA GPU", cuda_state().fix or _WITHOUT)
    left_out = "" if match.group(1) else _left_out(gpus)
    # One precision for all: it is part of the key of their common features.
    named = _named(precision, "bf16" if all(gpus[i].capability >= _BF16_CAPABILITY for i in wanted) else "fp16")
    for i in wanted:
        _check_bf16(named, gpus[i])
    return tuple(_device(i, gpus[i], named, left_out) for i in wanted)


def _device(index: int, gpu: CudaDevice, precision: Precision, warning: str) -> Device:
    fast = gpu.fp32_over_fp64 <= _FAST_FP64
    return Device(f"cuda:{index}", gpu.name, precision, gpu.memory_gb, fast, warning)


def cuda_devices() -> tuple[CudaDevice, ...]:
    """Return the GPUs of this machine, also those that torch cannot use."""
    return cuda_state().gpus


def cuda_problem() -> str:
    """Return why torch can use none of the GPUs that are here; empty where it can, and where there is none."""
    return cuda_state().problem


def _one(index: int, gpus: tuple[CudaDevice, ...], problem: str) -> int:
    """Return the index of a GPU that was named; raises UsageError when it cannot be used."""
    if problem:
        raise UsageError(problem, cuda_state().fix or _WITHOUT)
    if index >= len(gpus):
        found = f"{len(gpus)} usable GPU" + ("s" if len(gpus) != 1 else "")
        raise UsageError(f"device cuda:{index} is not here: {found}", _WITHOUT)
    if gpus[index].refusal:
        raise UsageError(f"torch cannot use cuda:{index} ({gpus[index].name}): {gpus[index].refusal}", _WITHOUT)
    return index


def _left_out(gpus: tuple[CudaDevice, ...]) -> str:
    refused = [f"cuda:{i} ({gpu.name}): {gpu.refusal}" for i, gpu in enumerate(gpus) if gpu.refusal]
    return f"not used: {'; '.join(refused)}" if refused else ""


def _check_bf16(precision: Precision, gpu: CudaDevice) -> None:
    """Raise UsageError for bf16 on a GPU without bf16 arithmetic: emulated, it is slower than fp32."""
    if precision == "bf16" and gpu.capability < _BF16_CAPABILITY:
        has = ".".join(map(str, gpu.capability))
        raise UsageError(
            f"{gpu.name} (compute capability {has}) has no bf16 arithmetic", "use --precision fp16 or --precision fp32"
        )


def cpu_has_bf16() -> bool:
    """Return whether the CPU multiplies bf16 matrices in hardware (AMX or AVX512-BF16); elsewhere bf16 is slower."""
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


def default_batch_size(device: str, size_px: int) -> int:
    """Return a power of two: 128 images of 224 px on a GPU, 32 on a CPU, fewer of larger ones."""
    largest = 128 if device.startswith("cuda") else 32
    wanted = largest * (224 / size_px) ** 2
    size = largest
    while size > 1 and size > wanted:
        size //= 2
    return size
