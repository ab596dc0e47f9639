"""Reading the store's SQLite index directly: no settings are applied, no key or value is unpickled.

Reading needs none of diskcache, and opening diskcache costs some 35 synced commits; so the cache is opened
for writing only (see `store.py`), and everything that reads goes through here.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from medvlm_tui.core import disk
from medvlm_tui.errors import CorruptEntryError, StoreError

_BINARY = 2  # diskcache's MODE_BINARY
DATABASE = "cache.db"


def connect(directory: Path) -> sqlite3.Connection | None:
    """Open the index for reading, or return None when nothing was written yet."""
    database = directory / DATABASE
    if not database.exists():
        return None
    # A read-only file system cannot hold the shared-memory file that WAL readers need.
    frozen = "" if os.access(directory, os.W_OK) else "&immutable=1"
    try:
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro{frozen}", uri=True, timeout=60)
        connection.execute("SELECT 1 FROM Cache LIMIT 1")
    except sqlite3.Error as error:
        raise StoreError(
            f"the store's index {database} cannot be read: {error}",
            "move the store directory aside to start a new one; sealed files in it stay usable",
        ) from error
    return connection


def keys(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """Return the text keys that begin with `prefix`, sorted."""
    rows = connection.execute(
        "SELECT key FROM Cache WHERE raw = 1 AND key >= ? AND key < ? AND typeof(key) = 'text' ORDER BY key",
        (prefix, prefix + "\U0010ffff"),
    )
    return [key for (key,) in rows]


def has(connection: sqlite3.Connection, key: str) -> bool:
    """Say whether a value is recorded under `key`."""
    return connection.execute("SELECT 1 FROM Cache WHERE raw = 1 AND key = ?", (key,)).fetchone() is not None


def value(connection: sqlite3.Connection, directory: Path, key: str) -> bytes | None:
    """Return the verified value of `key`, None when there is none; raises CorruptEntryError."""
    row = connection.execute("SELECT mode, filename FROM Cache WHERE raw = 1 AND key = ?", (key,)).fetchone()
    if row is None:
        return None
    mode, name = row
    if mode != _BINARY:
        raise CorruptEntryError("the store's index holds a value kind that the store never writes")
    return disk.read_value(directory, name if isinstance(name, str) else None)


def refuse_foreign_settings(connection: sqlite3.Connection, expected: dict[str, object]) -> None:
    """Raise StoreError when the Settings table, which diskcache turns into PRAGMAs and attributes, holds
    anything but what our own writer left there."""
    for key, found in connection.execute("SELECT key, value FROM Settings"):
        if key in {"count", "size", "hits", "misses"} and isinstance(found, int):
            continue
        if key not in expected or found != expected[key]:
            raise StoreError(
                f"the store's index holds a setting {key!r} that this program never writes",
                "somebody else wrote into this directory: move it aside, a new store is made",
            )
