"""A device that runs out of memory: how that is recognised, backed off from, and said. Imports no torch itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from medvlm_tui.errors import MedvlmError

Item = TypeVar("Item")
Result = TypeVar("Result")

_GB = 1e9
_SMALLER = "use --device cpu, or --precision bf16"
_FULL = re.compile(
    r"out of memory"  # the allocator's, the driver's, cuDNN's
    r"|can't allocate memory"  # the CPU's allocator
    r"|_STATUS_\w*ALLOC\w*FAILED"  # cuBLAS, cuSOLVER; cuDNN 9: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
    # A library's handle needs memory too; on a full GPU making one is often what fails first.
    r"|(CUBLAS|CUDNN|CUSOLVER)_STATUS_(NOT_INITIALIZED|INTERNAL_ERROR)\b.*calling `?\w*create"
    # cuDNN, when no algorithm's workspace fits.
    r"|unable to find an engine to execute this computation|unable to find a valid cudnn algorithm",
    re.IGNORECASE | re.DOTALL,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the work was too large for the device's memory."""
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or _FULL.search(str(error)) is not None
    )


def release_memory() -> None:
    """Return cached GPU memory to the driver; does nothing where torch or the GPU was never used."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def with_back_off(
    work: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    batch_size: int,
    release: Callable[[], None] = release_memory,
) -> tuple[list[Result], int]:
    """Call `work` on consecutive parts of `items`, halving the part whenever the device runs out of memory.

    Returns the results in order and the batch size that worked, with which the next call begins. `release`
    frees what the failed attempt left behind. Raises MedvlmError when even one item does not fit.
    """
    results: list[Result] = []
    begin = 0
    while begin < len(items):
        full = False
        try:
            results.append(work(items[begin : begin + batch_size]))
            begin += batch_size
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if batch_size <= 1:
                raise MedvlmError(f"one image alone does not fit into memory{free_of_all(error)}", _SMALLER) from error
            full = True
        # Outside the handler: within it the traceback still holds the attempt's tensors, and nothing could be freed.
        if full:
            batch_size = max(1, min(batch_size, len(items) - begin) // 2)
            release()
    return results, batch_size


@contextmanager
def naming_shortage(what: str, device: str) -> Iterator[None]:
    """Turn running out of memory into an error that says what did not fit, and how full the GPU is."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        message = f"{what} does not fit into the memory of {device}{free_of_all(error, device)}"
        raise MedvlmError(
            message, "free the GPU (nvidia-smi shows who holds it), choose another, or --device cpu"
        ) from error


def free_of_all(error: BaseException, device: str = "") -> str:
    """Return `: 1.2 of 15.8 GB are free, ...` for the current GPU, and what the library said; or that alone."""
    said = next(iter(str(error).splitlines()), "")
    memory = memory_of(device)
    if memory is None:
        return f" ({said})"
    free, total, ours = memory
    others = max(0, total - free - ours)
    return f": {free / _GB:.1f} of {total / _GB:.1f} GB are free, {others / _GB:.1f} GB are taken by others ({said})"


def memory_of(device: str = "") -> tuple[int, int, int] | None:
    """Return bytes of a GPU (the current one for no name): free, in all, held by this process's allocator.

    None on a CPU, and where the GPU does not answer any more.
    """
    torch = sys.modules.get("torch")
    if torch is None or device == "cpu" or not torch.cuda.is_initialized():
        return None
    try:
        free, total = torch.cuda.mem_get_info(device or None)
        return int(free), int(total), int(torch.cuda.memory_reserved(device or None))
    except RuntimeError:
        return None
