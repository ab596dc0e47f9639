"""The encoder loaded last, kept for the next step that wants the same one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from medvlm_tui.core.specs import EncoderKey
from medvlm_tui.engine.step.device_memory import release_memory

E = TypeVar("E")
Wanted = tuple[EncoderKey, Path | None, str]


class LastLoaded(Generic[E]):
    """At most one encoder, with the key, the file and the device that it was loaded for."""

    def __init__(self) -> None:
        self._kept: tuple[Wanted, E] | None = None

    def get(self, wanted: Wanted, load: Callable[[], E]) -> E:
        """Return the encoder that is kept where it is the one wanted, else the one that `load` gives, kept from now."""
        if self._kept is not None and self._kept[0] == wanted:
            return self._kept[1]
        self.forget()  # before the next one is built, so that two never share the memory
        encoder = load()
        self._kept = wanted, encoder
        return encoder

    def forget(self) -> None:
        """Release the encoder, and its GPU memory."""
        if self._kept is not None:
            self._kept = None
            release_memory()
