"""Which GPUs a run takes: those that torch can use and other programs do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from medvlm_tui.engine.step.cuda_driver import CudaState
from medvlm_tui.engine.step.gpu_use import GpuUse, uses_of
from medvlm_tui.errors import UsageError

# With less, not even a small network and its context fit.
_LEAST_GB = 2.0
_WITHOUT = "use --device cpu; `medvlm-tui doctor` says which GPUs torch can use"
# UUIDs that this process took before: processes on them that cannot be told from ours are taken for ours.
_taken_before: set[str] = set()


@dataclass(frozen=True, slots=True)
class GpuChoice:
    """The GPUs of a run; none where the CPU is used."""

    indices: tuple[int, ...] = ()
    warning: str = ""
    """Which GPUs are here and not used, or used by others too, and why."""


def named_gpus(device: str, state: CudaState) -> GpuChoice:
    """Return the GPUs of a list such as `cuda:0,cuda:2`; raises UsageError for one that torch cannot use."""
    wanted = tuple(dict.fromkeys(int(name.removeprefix("cuda:")) for name in device.split(",")))
    for index in wanted:
        _refuse(index, state)
    uses = _uses(state)
    busy = [f"{_title(i, state)}: {uses[i].in_words()}" for i in wanted if i in uses and uses[i].busy]
    return GpuChoice(wanted, f"in use by others: {'; '.join(busy)}" if busy else "")


def free_gpus(device: str, state: CudaState) -> GpuChoice:
    """Return the GPUs that `auto` or `cuda` means: all that others leave free, the freest alone where none is free.

    `auto` takes the CPU where torch can use none, and where the freest has too little memory; `cuda` raises UsageError.
    """
    usable = [] if state.problem else [i for i, gpu in enumerate(state.gpus) if not gpu.refusal]
    if not usable:
        if device != "auto":
            message = state.problem or f"device {device} is not here: no NVIDIA GPU"
            raise UsageError(message, state.fix or _WITHOUT)
        return GpuChoice(warning=f"{state.problem}: the CPU is used" if state.problem else "")
    uses = _uses(state)
    free = tuple(i for i in usable if i not in uses or not uses[i].busy)
    left_out = [f"{_title(i, state)}: {gpu.refusal}" for i, gpu in enumerate(state.gpus) if gpu.refusal]
    left_out += [f"{_title(i, state)}: {uses[i].in_words()}" for i in usable if i not in free]
    if not free:
        return _shared(device, {i: uses[i] for i in usable}, "; ".join(left_out), state)
    _taken_before.update(state.gpus[i].uuid for i in free)
    return GpuChoice(free, f"not used: {'; '.join(left_out)}" if left_out else "")


def _shared(device: str, uses: Mapping[int, GpuUse], said: str, state: CudaState) -> GpuChoice:
    """Return the GPU with the most free memory of those that others use."""
    taken = f"every GPU is in use by others ({said})"
    freest = max((i for i in uses if not uses[i].closed), key=lambda i: uses[i].free_gb, default=None)
    if device == "auto" and (freest is None or uses[freest].free_gb < _LEAST_GB):
        return GpuChoice(warning=f"{taken}: the CPU is used")
    if freest is None:
        raise UsageError(taken, "wait until a GPU is free, or use --device cpu")
    _taken_before.add(state.gpus[freest].uuid)
    return GpuChoice((freest,), f"{taken}: cuda:{freest} has the most free memory and is shared with them")


def _uses(state: CudaState) -> dict[int, GpuUse]:
    found = uses_of(gpu.uuid for gpu in state.gpus)
    uses = {}
    for index, gpu in enumerate(state.gpus):
        if gpu.uuid not in found:
            continue
        use = found[gpu.uuid]
        if gpu.uuid in _taken_before and not use.others:
            use = replace(use, unseen=0, free_gb=use.total_gb)  # what is missing is held by our own workers
        uses[index] = use
    return uses


def _title(index: int, state: CudaState) -> str:
    return f"cuda:{index} ({state.gpus[index].name})"


def _refuse(index: int, state: CudaState) -> None:
    """Raise UsageError for a GPU that was named and cannot be used."""
    if state.problem:
        raise UsageError(state.problem, state.fix or _WITHOUT)
    if index >= len(state.gpus):
        found = f"{len(state.gpus)} usable GPU" + ("s" if len(state.gpus) != 1 else "")
        raise UsageError(f"device cuda:{index} is not here: {found}", _WITHOUT)
    if state.gpus[index].refusal:
        raise UsageError(f"torch cannot use {_title(index, state)}: {state.gpus[index].refusal}", _WITHOUT)
