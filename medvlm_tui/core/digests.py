"""Digests: of files (remembered by inode, size and time), of bytes, and of records."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from medvlm_tui.core import checked_json
from medvlm_tui.core.atomic_files import write_cache
from medvlm_tui.errors import CorruptEntryError

if TYPE_CHECKING:
    # numpy costs 0.1 s, a fifth of the time to the first screen, and is not needed to start.
    import numpy as np

_CHUNK_BYTES = 1 << 20


def of_bytes(data: bytes) -> str:
    """xxh3-128 of `data`, 32 hex digits: detects accidents, not adversaries."""
    return xxhash.xxh3_128_hexdigest(data)


def of_array(array: np.ndarray[Any, Any]) -> str:
    """xxh3-128 of dtype, shape and bytes."""
    header = f"{array.dtype.str}{array.shape}".encode()
    return of_bytes(header + array.tobytes())


def of_record(record: Any) -> str:
    """sha256 (32 hex digits) of a JSON-able record in canonical form: what a result key is made of."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def of_file(path: Path) -> str:
    """xxh3-128 of a file's bytes."""
    hasher = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


class FileDigests:
    """Digests of files, so that an unchanged file is hashed once.

    A file counts as unchanged while device, inode, size and modification time (ns) stay the same. The
    table is a cache: losing it costs hashing again and nothing else.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.check: Callable[[], None] | None = None
        """Called before each file: it may raise, so that whoever waits for many files can stop."""
        self._known: dict[str, str] = {}
        self._dirty = False
        if path is not None and path.exists():
            self._known = _read_table(path)

    def of(self, path: Path, part: str = "", compute: Callable[[Path], str] = of_file) -> str:
        """Return the digest of `path`, or of the `part` of it that `compute` digests; raises OSError."""
        if self.check is not None:
            self.check()
        return self.remembered(path, part, compute)

    def remembered(self, path: Path, what: str, compute: Callable[[Path], str]) -> str:
        """Return what `compute` says of `path`, computed once while the file stays unchanged; raises OSError."""
        stat = os.stat(path)
        key = f"{stat.st_dev}-{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}{'-' if what else ''}{what}"
        if key not in self._known:
            self._known[key] = compute(path)
            self._dirty = True
        return self._known[key]

    def save(self) -> None:
        """Write what was learnt; atomic, so that a reader never sees half a table."""
        if self._path is not None and self._dirty:
            self._dirty = not write_cache(self._path, checked_json.dump(self._known))


def _read_table(path: Path) -> dict[str, str]:
    try:
        table = checked_json.load(path.read_bytes(), path.name)
    except (OSError, CorruptEntryError):
        return {}
    if not isinstance(table, Mapping):
        return {}
    return {str(key): str(value) for key, value in table.items()}
