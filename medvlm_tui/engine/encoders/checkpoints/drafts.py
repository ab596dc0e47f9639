"""A network compared with its checkpoint before it is built: names and shapes alone, on the device `meta`.

A configuration of 400 bytes may ask for a network of any width and depth. On `meta` width costs nothing, and depth is
bounded by the number of tensors that the checkpoint names; what does not fit is told within a second.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.encoders.checkpoints.load_report import LoadReport, reporting
from medvlm_tui.engine.encoders.checkpoints.tensor_files import TensorFile, open_tensor_file
from medvlm_tui.errors import MedvlmError, WeightsError

# Building takes up to about 40 calls of torch per tensor; the rest is what a network of no tensors may take.
_CALLS_PER_TENSOR = 100
_CALLS = 20_000
# A run of bytes may serve several names; weights that are more than this many times their bytes are none.
_MOST_SHARED = 16
_HINT = "check that the configuration and the checkpoint belong together"


class TooManyCallsError(WeightsError):
    """A network was not finished after all the calls that one of this many tensors may take."""


class _Counted(TorchFunctionMode):
    """Counts the calls of torch, and ends a construction that does not end by itself."""

    def __init__(self, most: int, error: TooManyCallsError) -> None:
        super().__init__()
        self._left = most
        self._error = error

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return func(*args, **(kwargs or {}))


def compare(load: Callable[[], object], path: Path, name: str) -> None:
    """Call `load` to build and fill its network as a draft; raises WeightsError where the checkpoint does not fit."""
    file = open_tensor_file(path)
    count = len(list(file.names()))
    endless = TooManyCallsError(
        f"{path} does not fit: it holds {count} tensors, the configuration of {name} describes a far larger network",
        _HINT,
    )
    try:
        with (
            torch.device("meta"),
            _Counted(_CALLS + _CALLS_PER_TENSOR * count, endless),
            reporting(draft=True) as report,
        ):
            load()
    except MedvlmError:
        raise
    except Exception as error:  # what a library raises on a configuration that makes no sense
        reason = clean(f"{type(error).__name__}: {error}")[:200]
        raise WeightsError(f"{name}: its configuration builds no network: {reason}", _HINT) from error
    _refuse_repeated(file, report, path)


def _refuse_repeated(file: TensorFile, report: LoadReport, path: Path) -> None:
    """Raise WeightsError where few bytes stand for many numbers: a view may claim any shape."""
    runs = dict(file.stored(name) for name in report.used)
    stored = sum(runs.values())
    claimed = sum(_size_bytes(file.outline(name)) for name in report.used)
    if claimed > _MOST_SHARED * stored:
        raise WeightsError(
            f"{path} does not fit: its tensors are {claimed} bytes by their shapes, and it stores {stored}", _HINT
        )


def _size_bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
