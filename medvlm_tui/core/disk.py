"""How diskcache stores a value here: digest, fsync, rename. No pickle is written or read.

diskcache's own `Disk` unpickles keys and values, never syncs, and joins file names from the database to
its directory unchecked. This one accepts str keys and bytes values only, and trusts no name it reads.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import xxhash
from diskcache import Disk
from diskcache.core import MODE_BINARY, UNKNOWN

from medvlm_tui.core.files import write_atomic
from medvlm_tui.errors import CorruptEntryError, StoreError

_MAGIC = b"MVT1"
_DIGEST_BYTES = 16
_HEADER_BYTES = len(_MAGIC) + _DIGEST_BYTES + 8
_VALUE_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")
_HINT = "run the same command again: it is computed anew"


def seal_value(body: bytes) -> bytes:
    """Return magic | xxh3-128 of body | length | body."""
    return _MAGIC + xxhash.xxh3_128_digest(body) + len(body).to_bytes(8, "little") + body


def open_value(data: bytes, name: str) -> bytes:
    """Return the body of `seal_value`'s bytes; raises CorruptEntryError unless every byte is as written."""
    digest = data[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES]
    length = int.from_bytes(data[_HEADER_BYTES - 8 : _HEADER_BYTES], "little")
    body = data[_HEADER_BYTES:]
    if data[: len(_MAGIC)] != _MAGIC or len(body) != length or xxhash.xxh3_128_digest(body) != digest:
        raise CorruptEntryError(f"stored value {name} is damaged", _HINT)
    return body


def read_value(directory: Path, name: str | None) -> bytes:
    """Return the body of the value file `name` (a path from the database, not trusted) below `directory`."""
    if name is None or not _VALUE_NAME.fullmatch(name):
        raise CorruptEntryError("the store's index names a file that the store never writes", _HINT)
    try:
        descriptor = os.open(directory / name, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise CorruptEntryError(f"stored value {name} is gone: {error.strerror}", _HINT) from error
    with os.fdopen(descriptor, "rb") as file:
        return open_value(file.read(), name)


class RawDisk(Disk):  # type: ignore[misc]
    """str keys, bytes values, one durable file a value."""

    def hash(self, key: Any) -> int:
        """Stable hash of a key (diskcache uses it for sharding only)."""
        return int(xxhash.xxh3_64_intdigest(str(key)))

    def put(self, key: Any) -> tuple[str, bool]:
        """Return the database form of a key."""
        if not isinstance(key, str):
            raise StoreError(f"store keys are text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        """Return the key of a database row; a pickled one is refused unread."""
        if not raw or not isinstance(key, str):
            raise CorruptEntryError("the store's index holds a key that the store never writes", _HINT)
        return key

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str, None]:
        """Write a value durably before the index mentions it."""
        if not isinstance(value, bytes) or read:
            raise StoreError(f"store values are bytes, not {type(value).__name__}")
        name, full_path = self.filename(key, value)
        data = seal_value(value)
        write_atomic(Path(full_path), data)
        return len(data), MODE_BINARY, name, None

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Return a verified value; every mode but our own is refused."""
        if mode != MODE_BINARY:
            raise CorruptEntryError("the store's index holds a value kind that the store never writes", _HINT)
        body = read_value(Path(self._directory), filename)
        return io.BytesIO(body) if read else body

    def remove(self, file_path: str) -> None:
        """Remove a value file; a name that the store never writes is left alone."""
        if _VALUE_NAME.fullmatch(file_path):
            (Path(self._directory) / file_path).unlink(missing_ok=True)
