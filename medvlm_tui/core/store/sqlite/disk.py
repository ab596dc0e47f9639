"""Storage of diskcache values: digest, fsync, rename. No pickle is written or read.

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

from medvlm_tui.core.atomic_files import write_atomic
from medvlm_tui.core.store import value_file
from medvlm_tui.errors import CorruptEntryError, StoreError

VALUE_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")


def value_path(directory: Path, name: object) -> Path:
    """Return the path of the value file `name` (from the database, not trusted) below `directory`."""
    if not isinstance(name, str) or not VALUE_NAME.fullmatch(name):
        raise CorruptEntryError("the store's index names a file that the store never writes", "run the command again")
    return directory / name


class RawDisk(Disk):  # type: ignore[misc]
    """str keys, bytes values, one durable file a value."""

    _folder = ""
    _folder_owner = 0

    def hash(self, key: Any) -> int:
        """Stable hash of a key (diskcache uses it for sharding only)."""
        return int(xxhash.xxh3_64_intdigest(str(key).encode()))

    def put(self, key: Any) -> tuple[str, bool]:
        """Return the database form of a key."""
        if not isinstance(key, str):
            raise StoreError(f"store keys are text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        """Return the key of a database row; a pickled one is refused unread."""
        if not raw or not isinstance(key, str):
            raise CorruptEntryError("the store's index holds a key that the store never writes")
        return key

    def filename(self, key: Any = UNKNOWN, value: Any = UNKNOWN) -> tuple[str, str]:
        """Return a new value file's name and full path.

        One folder a process: a folder of its own for each value would cost two more syncs each.
        """
        if self._folder_owner != os.getpid():
            drawn = os.urandom(2).hex()
            self._folder, self._folder_owner = f"{drawn[:2]}/{drawn[2:]}", os.getpid()
        name = f"{self._folder}/{os.urandom(14).hex()}.val"
        return name, f"{self._directory}/{name}"

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str, None]:
        """Write a value durably before the index mentions it."""
        if not isinstance(value, bytes) or not isinstance(key, str) or read:
            raise StoreError(f"store values are bytes, not {type(value).__name__}")
        name, full_path = self.filename(key, value)
        data = value_file.encode(key, value)
        write_atomic(Path(full_path), data)
        return len(data), MODE_BINARY, name, None

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Return a verified value; every mode but our own is refused."""
        if mode != MODE_BINARY:
            raise CorruptEntryError("the store's index holds a value kind that the store never writes")
        _, body = value_file.read(value_path(Path(self._directory), filename))
        return io.BytesIO(body) if read else body

    def remove(self, file_path: str) -> None:
        """Remove a value file; a name that the store never writes is left alone."""
        if VALUE_NAME.fullmatch(file_path):
            (Path(self._directory) / file_path).unlink(missing_ok=True)
