"""A reader of pickles that lets a file change nothing but what the reader returns. Imports no torch.

Python's reader in C has no hook for single instructions, so this is its reader in Python with five of them guarded:
BUILD, which sets attributes of anything that the file can name, and the four that call or make something.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, ClassVar

from medvlm_tui.engine.encoders.checkpoints.stand_ins import Inert

# Pairs that a file may hand to OrderedDict in all: a list is written once and may be handed over any number of times.
_MAX_PAIRS = 1_000_000


class RestrictedUnpickler(pickle._Unpickler):
    """Calls `makers` and inert classes, fills inert objects, and refuses to do either with anything else."""

    makers: tuple[Any, ...] = ()
    """The real functions that a file may call."""
    stack: list[Any]
    append: Callable[[Any], None]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pairs = 0

    def fill(self, target: Any, state: Any) -> None:
        """Pass over an object's state; raises UnpicklingError where it would change something of the program."""
        if isinstance(target, type) or not isinstance(target, Inert | OrderedDict):
            kind = getattr(target, "__name__", type(target).__name__)
            raise UnpicklingError(f"it changes {kind}, which is no part of its own data")

    def call(self, function: Any, arguments: Any) -> Any:
        """Return what a function or class makes of the arguments; raises UnpicklingError for one that is not known."""
        if function is OrderedDict:
            return self._ordered(arguments)
        inert = issubclass(function, Inert) if isinstance(function, type) else isinstance(function, Inert)
        if not inert and not any(function is maker for maker in self.makers):
            raise UnpicklingError(f"it calls {getattr(function, '__name__', type(function).__name__)}")
        return function(*arguments)

    def _ordered(self, arguments: Any) -> Any:
        self._pairs += sum(len(argument) for argument in arguments)
        if self._pairs > _MAX_PAIRS:
            raise UnpicklingError("it fills tables without end")
        return OrderedDict(*arguments)

    def _build(self) -> None:
        state = self.stack.pop()
        self.fill(self.stack[-1], state)

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], arguments)

    def _make_with_keywords(self) -> None:
        self.stack.pop()
        self._reduce()

    def _instantiate(self, kind: Any, arguments: Any) -> None:
        self.append(self.call(kind, arguments))

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: _build,
        pickle.REDUCE[0]: _reduce,
        pickle.NEWOBJ[0]: _reduce,
        pickle.NEWOBJ_EX[0]: _make_with_keywords,
    }
