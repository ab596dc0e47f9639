"""Reading the store's SQLite index directly: no settings are applied, no key or value is unpickled.

Reading needs none of diskcache, and opening diskcache costs some 35 synced commits; so the cache is opened
for writing only (see `journal.py`), and everything that reads goes through here.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from medvlm_tui.errors import StoreError

BINARY = 2  # diskcache's MODE_BINARY
DATABASE = "cache.db"
FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""Errors of reading a damaged database; the second occurs when SQLite quotes damaged text in a message."""
_COUNTERS = frozenset({"count", "size", "hits", "misses"})
_COLUMNS = "key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value"


class Row(NamedTuple):
    """A row of the table Cache; nothing in it is trusted."""

    key: object
    raw: object
    store_time: object
    expire_time: object
    access_time: object
    access_count: object
    tag: object
    size: object
    mode: object
    filename: object
    value: object

    def fault(self) -> str:
        """Return what in the row differs from what the store writes, or an empty text."""
        expected = (1, BINARY, None, None, None, 0)
        found = (self.raw, self.mode, self.expire_time, self.tag, self.value, self.access_count)
        if not isinstance(self.key, str) or found != expected or self.store_time != self.access_time:
            return "the store's index holds a row that the store never writes"
        return ""


@dataclass(frozen=True, slots=True)
class Reader:
    """A connection that only reads, and the copy of the index it reads when that had to be made."""

    connection: sqlite3.Connection
    copy: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Close the connection and remove the copy."""
        self.connection.close()
        if self.copy is not None:
            self.copy.cleanup()

    def keys(self, prefix: str) -> list[str]:
        """Return the text keys that begin with `prefix`, sorted."""
        query = "SELECT key FROM Cache WHERE raw = 1 AND key >= ? AND key < ? AND typeof(key) = 'text' ORDER BY key"
        return [str(key) for (key,) in self._all(query, prefix, prefix + "\U0010ffff")]

    def row(self, key: str) -> Row | None:
        """Return the row of `key`."""
        query = f"SELECT {_COLUMNS} FROM Cache WHERE raw = 1 AND key = ?"  # noqa: S608
        found = self._all(query, key)
        return Row(*found[0]) if found else None

    def rows(self) -> Iterator[Row]:
        """Yield every row, found by walking the table rather than its index."""
        for row in self._all(f"SELECT {_COLUMNS} FROM Cache NOT INDEXED ORDER BY rowid"):  # noqa: S608
            yield Row(*row)

    def faults(self) -> list[str]:
        """Return what SQLite's own check finds, and counters that do not add up."""
        try:
            lines = [str(line) for (line,) in self.connection.execute("PRAGMA integrity_check") if line != "ok"]
            totals = self.connection.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM Cache NOT INDEXED"
            ).fetchone()
            stated = dict(self.connection.execute("SELECT key, value FROM Settings"))
        except FAULTS as error:
            return [str(error)]
        if (stated.get("count"), stated.get("size")) != totals:
            lines.append("the index's counters do not add up")
        return lines

    def foreign_settings(self, expected: Mapping[str, object]) -> list[str]:
        """Return rows of Settings that the store did not write: diskcache turns them into PRAGMAs and attributes."""
        return [
            f"the store's index holds a setting {key!r} that this program never writes"
            for key, found in self._all("SELECT key, value FROM Settings")
            if not (key in _COUNTERS and isinstance(found, int)) and (key not in expected or found != expected[key])
        ]

    def _all(self, query: str, *values: str) -> list[Any]:
        try:
            return self.connection.execute(query, values).fetchall()
        except FAULTS as error:
            raise _unreadable(DATABASE, error) from error


def open_reader(folder: Path, frozen: bool = False) -> Reader | None:
    """Open the index for reading, or return None when nothing was written yet.

    `frozen`, a read-only file system and a full disk have in common that SQLite cannot keep its shared-memory
    file beside the database: it is then read as a file that nobody changes.
    """
    database = folder / DATABASE
    if not database.exists():
        return None
    if frozen or not os.access(folder, os.W_OK):
        return _checked(_open_frozen(database))
    try:
        return _checked(Reader(_connect(database, "mode=ro")))
    except (*FAULTS, StoreError):
        return _checked(_open_frozen(database))


def _open_frozen(database: Path) -> Reader:
    log = Path(f"{database}-wal")
    try:
        if not log.exists() or log.stat().st_size == 0:
            return Reader(_connect(database, "mode=ro&immutable=1"))
        # The last commits of a killed writer are in the log, which SQLite does not read for an immutable database.
        copy = tempfile.TemporaryDirectory(prefix="medvlm-index-")
        for file in (database, log):
            shutil.copyfile(file, Path(copy.name) / file.name)
        return Reader(_connect(Path(copy.name) / DATABASE, "mode=rw"), copy)
    except (OSError, *FAULTS) as error:
        raise _unreadable(database, error) from error


def _connect(database: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?{options}", uri=True, timeout=60)


def _checked(reader: Reader) -> Reader | None:
    """Return the reader, None when its writer died while it made the tables."""
    try:
        tables = {name for (name,) in reader.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables <= {"Settings"}:
            reader.connection.execute("SELECT 1 FROM Cache, Settings LIMIT 1")
            if not {"Cache", "Settings"} <= tables:
                raise sqlite3.DatabaseError("its tables are not the store's")
            return reader
    except FAULTS as error:
        reader.close()
        raise _unreadable(DATABASE, error) from error
    reader.close()
    return None


def _unreadable(database: Path | str, error: Exception) -> StoreError:
    return StoreError(
        f"the store's index {database} cannot be read: {error}",
        f"move journal/{DATABASE}* aside and run `medvlm-tui store scrub`: it makes a new index from the values",
    )
