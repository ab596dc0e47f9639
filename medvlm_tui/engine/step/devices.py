"""The device and precision of a run, and the default batch size. Needs no torch: NVIDIA's driver is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from medvlm_tui.core.specs import Precision
from medvlm_tui.engine.step.cuda_driver import CudaDevice, cuda_state
from medvlm_tui.engine.step.gpu_choice import free_gpus, named_gpus
from medvlm_tui.errors import UsageError

_BF16_CAPABILITY = (8, 0)
# float32 over float64 rate up to which float64 work belongs on the GPU; above it, 16 CPU cores are as fast.
_FAST_FP64 = 4
_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


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
    """Which GPUs are here and not used, or used by others too, and why; a warning of the plan."""


def choose(device: str = "auto", precision: str = "auto") -> Device:
    """Resolve `auto`, `cpu`, `cuda` or a list of GPUs, and a precision; raises UsageError when one is not here.

    Precision `auto` is bf16 on a GPU that has it, fp16 on an older one, fp32 on the CPU.
    """
    return every(device, precision)[0]


def every(device: str = "auto", precision: str = "auto") -> tuple[Device, ...]:
    """Resolve as `choose`, to all devices that share the work: `auto` and `cuda` mean every GPU that is free.

    GPUs that the installed torch cannot use or that others use are left out; where others use all of them, the one with
    the most free memory is taken. `auto` takes the CPU where none is left. All of it is said in `Device.warning`.
    """
    if precision not in ("auto", "fp32", "bf16", "fp16"):
        raise UsageError(f"unknown precision {precision!r}", "one of auto, fp32, bf16, fp16")
    if device == "cpu":
        return (Device("cpu", "CPU", _named(precision, "fp32")),)
    if re.fullmatch(r"auto|cuda(:\d+(,cuda:\d+)*)?", device) is None:
        raise UsageError(
            f"unknown device {device!r}", "one of auto, cpu, cuda, cuda:0, cuda:1, or a list: cuda:0,cuda:1"
        )
    state = replace(cuda_state(), gpus=cuda_devices(), problem=cuda_problem())
    choice = named_gpus(device, state) if ":" in device else free_gpus(device, state)
    if not choice.indices:
        return (Device("cpu", "CPU", _named(precision, "fp32"), warning=choice.warning),)
    gpus = [state.gpus[index] for index in choice.indices]
    # One precision for all: it is part of the key of their common features.
    named = _named(precision, "bf16" if all(gpu.capability >= _BF16_CAPABILITY for gpu in gpus) else "fp16")
    for gpu in gpus:
        _check_bf16(named, gpu)
    return tuple(_device(i, gpu, named, choice.warning) for i, gpu in zip(choice.indices, gpus, strict=True))


def name_of(machines: Sequence[Device]) -> str:
    """Return the `--device` that means these devices and no others."""
    return ",".join(machine.device for machine in machines)


def _device(index: int, gpu: CudaDevice, precision: Precision, warning: str) -> Device:
    fast = gpu.fp32_over_fp64 <= _FAST_FP64
    return Device(f"cuda:{index}", gpu.name, precision, gpu.memory_gb, fast, warning)


def cuda_devices() -> tuple[CudaDevice, ...]:
    """Return the GPUs of this machine, also those that torch cannot use."""
    return cuda_state().gpus


def cuda_problem() -> str:
    """Return why torch can use none of the GPUs that are here; empty where it can, and where there is none."""
    return cuda_state().problem


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
