"""The journal on a local disk: diskcache as the index, one durable file a value (see `disk.py`)."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import diskcache

from medvlm_tui.core.atomic_files import TEMPORARY
from medvlm_tui.core.store import value_file
from medvlm_tui.core.store.journal import Damage, Entry
from medvlm_tui.core.store.sqlite import index
from medvlm_tui.core.store.sqlite.disk import VALUE_NAME, RawDisk, value_path
from medvlm_tui.errors import CorruptEntryError, StoreError

# No eviction, no culling, full sync: with diskcache's defaults a power cut lost every acknowledged entry.
_SETTINGS: dict[str, object] = {
    "size_limit": 1 << 62,
    "cull_limit": 0,
    "eviction_policy": "none",
    "statistics": 0,
    "tag_index": 0,
    "sqlite_synchronous": 2,
    "disk_min_file_size": 0,
}
_ALL_SETTINGS = {**diskcache.DEFAULT_SETTINGS, **_SETTINGS}


class SqliteJournal:
    """`FOLDER/cache.db` and the value files it names."""

    def __init__(self, folder: Path, frozen: bool = False) -> None:
        """`frozen`: the index is read from a copy, for file systems where SQLite must not lock."""
        self._folder = folder
        self._frozen = frozen
        self._cache: diskcache.Cache | None = None
        self._reader: index.Reader | None = None

    def close(self) -> None:
        """Close the index."""
        if self._cache is not None:
            self._cache.close()
        if self._reader is not None:
            self._reader.close()
        self._cache = self._reader = None

    def add(self, key: str, value: bytes) -> bool:
        """Write the value's file, then the row that names it; both are synced."""
        try:
            return bool(self._writer().add(key, value))
        except (sqlite3.Error, diskcache.Timeout) as error:
            self._drop_writer()
            raise _write_error(error, self._folder) from error

    def discard(self, key: str) -> None:
        """Remove the row, then the file."""
        try:
            self._writer().delete(key)
        except (sqlite3.Error, diskcache.Timeout) as error:
            self._drop_writer()
            raise _write_error(error, self._folder) from error

    def value(self, key: str) -> bytes | None:
        """Return the verified value."""
        path = self._path(key)
        return None if path is None else value_file.read_of(path, key)

    def head(self, key: str, size: int) -> bytes:
        """Return the beginning of a value, unverified."""
        path = self._path(key)
        if path is None:
            raise ValueError(f"nothing is stored under {key}")
        found, body = value_file.head(path, size)
        if found != key:
            raise ValueError(f"{path.name} belongs to another key")
        return body

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        reader = self._read()
        return [] if reader is None else reader.keys(prefix)

    def __contains__(self, key: str) -> bool:
        reader = self._read()
        return reader is not None and reader.row(key) is not None

    def entries(self) -> Iterator[Entry]:
        """List the rows that the store may have written."""
        reader = self._read()
        for row in [] if reader is None else reader.rows():
            if isinstance(row.key, str) and isinstance(row.filename, str) and VALUE_NAME.fullmatch(row.filename):
                size_bytes = row.size if isinstance(row.size, int) else 0
                stored_s = row.store_time if isinstance(row.store_time, float) else 0.0
                yield Entry(row.key, self._folder / row.filename, size_bytes, stored_s)

    def damages(self) -> Iterator[Damage]:
        """Check the index as a whole, every row, and every value."""
        reader = self._read()
        if reader is None:
            if next(self._folder.glob("*/*/*.val"), None) is not None:
                yield Damage(f"journal/{index.DATABASE}", "the index is gone; `store scrub` makes it from the values")
            return
        for reason in (*reader.faults(), *reader.foreign_settings(_ALL_SETTINGS)):
            yield Damage(f"journal/{index.DATABASE}", reason)
        for row in reader.rows():
            key = row.key if isinstance(row.key, str) else ""
            try:
                if reason := row.fault():
                    raise CorruptEntryError(reason)
                path = value_path(self._folder, row.filename)
                value_file.read_of(path, key)
                if path.stat().st_size != row.size:
                    raise CorruptEntryError("the index states another size")
            except CorruptEntryError as error:
                yield Damage(f"journal/{row.filename}", error.message, key)

    def strays(self) -> list[Path]:
        """Return temporary files, and value files that no row names."""
        reader = self._read()
        named = set() if reader is None else {row.filename for row in reader.rows()}
        found = [path for path in self._folder.glob("*/*/*.val") if str(path.relative_to(self._folder)) not in named]
        return sorted(found) + sorted(self._folder.glob(f"*/*/.*{TEMPORARY}"))

    def _path(self, key: str) -> Path | None:
        reader = self._read()
        row = None if reader is None else reader.row(key)
        if row is None:
            return None
        if row.mode != index.BINARY:
            raise CorruptEntryError("the store's index holds a value kind that the store never writes")
        return value_path(self._folder, row.filename)

    def _read(self) -> index.Reader | None:
        if self._reader is None:
            self._reader = index.open_reader(self._folder, self._frozen)
        return self._reader

    def _writer(self) -> diskcache.Cache:
        if self._cache is None:
            reader = self._read()
            foreign = [] if reader is None else reader.foreign_settings(_ALL_SETTINGS)
            if foreign:
                raise StoreError(
                    foreign[0], "somebody else wrote into this directory: move it aside, a new one is made"
                )
            # A stored setting must not act before it was checked, hence the order.
            self._cache = diskcache.Cache(str(self._folder), timeout=60, disk=RawDisk, **_SETTINGS)
        return self._cache

    def _drop_writer(self) -> None:
        """Close the writer after a failed write: its connection may be left inside a transaction."""
        if self._cache is not None:
            self._cache.close()
        self._cache = None


def _write_error(error: Exception, folder: Path) -> Exception:
    if "disk is full" in str(error):
        return OSError(errno.ENOSPC, "No space left on device", str(folder))
    what = "it stays locked" if isinstance(error, diskcache.Timeout) else str(error)
    return StoreError(
        f"the store's index {folder / index.DATABASE} refused a write: {what}",
        "free disk space or check the disk, then run the same command again: it goes on",
    )
