"""Protocol of a journal: keys to values, written once, durable when `add` has returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored value, as a listing shows it."""

    key: str
    path: Path
    size_bytes: int
    stored_s: float
    """When, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in the store that is not as it was written."""

    where: str
    """The file, relative to the store, or the key."""
    reason: str
    key: str = ""
    """The entry to discard so that it is computed again, where it is known."""


class Journal(Protocol):
    """Keys are text, values bytes. `add` raises OSError or StoreError, reading raises CorruptEntryError."""

    def add(self, key: str, value: bytes) -> bool:
        """Store durably; False when the key has a value already, which stays."""

    def value(self, key: str) -> bytes | None:
        """Return the verified value, None when there is none."""

    def head(self, key: str, size: int) -> bytes:
        """Return at most the first `size` bytes of a value, UNVERIFIED; raises OSError, ValueError."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""

    def __contains__(self, key: str) -> bool: ...

    def discard(self, key: str) -> None:
        """Forget a value."""

    def entries(self) -> Iterator[Entry]:
        """List what is stored, without reading values."""

    def damages(self) -> Iterator[Damage]:
        """Read every stored byte and say what is not as written."""

    def strays(self) -> list[Path]:
        """Return the files that no entry stands for: leftovers of killed writers. The caller holds the lock alone."""

    def close(self) -> None:
        """Close what is open; what was added is durable already."""
