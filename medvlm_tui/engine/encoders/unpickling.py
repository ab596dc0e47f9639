"""Tensors out of torch files that also hold objects of other packages. Nothing foreign is imported or run.

CXR-CLIP's and VisionUnite's files keep their training configuration beside the weights. `torch.load` is given
this module in place of `pickle`: a short list of torch's own names is real, every other name becomes a class
that takes whatever it is given and does nothing.
"""

from __future__ import annotations

import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from pickle import UnpicklingError
from typing import IO, Any

import torch

__all__ = ["Unpickler", "UnpicklingError", "load"]


class Inert:
    """Stands in for any foreign class or function: can be made, called and filled, and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take any arguments: real ones are built with them."""

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        """Forget the state."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Forget the item."""

    def append(self, item: Any) -> None:
        """Forget the item."""

    def extend(self, items: Any) -> None:
        """Forget the items."""


_STORAGES = (
    "FloatStorage", "HalfStorage", "BFloat16Storage", "DoubleStorage", "LongStorage", "IntStorage", "ShortStorage",
    "CharStorage", "ByteStorage", "BoolStorage",
)  # fmt: skip
_REAL: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("collections", "OrderedDict"): OrderedDict,
    **{("torch", name): getattr(torch, name) for name in _STORAGES},
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
}
# No honest checkpoint names these; a file that does is refused as a whole.
_HOSTILE_MODULES = frozenset(
    {
        "os", "posix", "nt", "subprocess", "sys", "importlib", "runpy", "shutil", "socket", "ctypes", "pty",
        "webbrowser", "code", "codeop", "multiprocessing", "threading", "pickle", "marshal",
    }
)  # fmt: skip
_HOSTILE_BUILTINS = frozenset(
    {
        "eval", "exec", "compile", "open", "__import__", "getattr", "setattr", "delattr", "globals", "locals",
        "vars", "input", "breakpoint", "apply",
    }
)  # fmt: skip


class Unpickler(pickle.Unpickler):
    """An unpickler whose only real names are those that make plain tensors."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the real object of an allowed name, and an inert class for every other.

        Raises UnpicklingError for names whose only use in a checkpoint is to run code.
        """
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        dangerous = module == "builtins" and name in _HOSTILE_BUILTINS
        if dangerous or module.partition(".")[0] in _HOSTILE_MODULES:
            raise UnpicklingError(f"it names {module}.{name}, which runs code")
        real = _REAL.get((module, name))
        if real is not None:
            return real
        if module == "torch" and isinstance(value := getattr(torch, name, None), torch.dtype):
            return value
        return type(name, (Inert,), {})


def load(file: IO[bytes], **options: Any) -> Any:
    """Unpickle with the class above: torch reads the head of its older files through this name."""
    return Unpickler(file, **options).load()
