"""Stand-ins for the foreign objects in checkpoints, and the names that no honest checkpoint holds. No torch."""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any


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


def refuse_hostile(module: str, name: str) -> None:
    """Raise UnpicklingError for names whose only use in a checkpoint is to run code."""
    dangerous = module == "builtins" and name in _HOSTILE_BUILTINS
    if dangerous or module.partition(".")[0] in _HOSTILE_MODULES:
        raise UnpicklingError(f"it names {module}.{name}, which runs code")
