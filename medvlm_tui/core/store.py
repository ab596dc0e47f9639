"""The store: a write-once journal of blocks and results, and sealed feature tables.

    STORE/format.json          version, so that another release can tell
    STORE/journal/             diskcache behind `RawDisk`: blocks of features, results of analyses
    STORE/sealed/KEY.safetensors + KEY.json   finished feature tables, memory-mapped by analyses
    STORE/file_digests.json    which file had which digest (a cache, may be lost)

What `put` has returned for survives kill -9 and a power cut, and nothing ever returns wrong bytes.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diskcache
import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core import index, packing
from medvlm_tui.core.digests import FileDigests, of_record
from medvlm_tui.core.disk import RawDisk
from medvlm_tui.core.files import write_atomic
from medvlm_tui.core.sealed import SealedTables
from medvlm_tui.core.specs import EncoderKey, FeatureTable
from medvlm_tui.errors import CorruptEntryError, StoreError

FORMAT_VERSION = 1
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


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result as the store gives it back: named arrays and a JSON record (params, seed, versions, ...)."""

    key: str
    arrays: Mapping[str, NDArray[Any]]
    record: Mapping[str, Any]


class Store:
    """One user's store in one directory on a local disk."""

    def __init__(self, directory: Path, read_only: bool = False) -> None:
        """Open `directory`, making it when absent; raises StoreError when it is not ours to use."""
        self.directory = directory
        self.read_only = read_only
        self._journal = directory / "journal"
        self._cache: diskcache.Cache | None = None
        self._reader: sqlite3.Connection | None = None
        _prepare(directory, read_only)
        self.tables = SealedTables(directory / "sealed")
        self.file_digests = FileDigests(directory / "file_digests.json")

    def close(self) -> None:
        """Close the index; what was put is durable already."""
        if not self.read_only:
            self.file_digests.save()
        for open_handle in (self._cache, self._reader):
            if open_handle is not None:
                open_handle.close()
        self._cache = self._reader = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- raw entries -------------------------------------------------------------------------------

    def put(self, key: str, value: bytes) -> None:
        """Store `value` durably under `key`; a key that has a value keeps it."""
        try:
            self._writer().add(key, value)
        except OSError as error:
            raise _disk_error(error, self.directory) from error
        except (sqlite3.Error, diskcache.Timeout) as error:
            raise StoreError(
                f"the store {self.directory} refused a write: {error}",
                "free disk space or check the disk, then run the same command again: it goes on",
            ) from error

    def get(self, key: str) -> bytes | None:
        """Return the verified value of `key`, None when there is none; raises CorruptEntryError."""
        reader = self._read_index()
        return None if reader is None else index.value(reader, self._journal, key)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        reader = self._read_index()
        return [] if reader is None else index.keys(reader, prefix)

    def __contains__(self, key: str) -> bool:
        reader = self._read_index()
        return reader is not None and index.has(reader, key)

    def discard(self, key: str) -> None:
        """Forget a damaged entry so that it can be computed again."""
        self._writer().delete(key)

    # -- results -----------------------------------------------------------------------------------

    def put_result(self, key: str, arrays: packing.Arrays, record: Mapping[str, Any]) -> None:
        """Store a result under `key`."""
        self.put(f"result/{key}", packing.pack(arrays, record))

    def has_result(self, key: str) -> bool:
        """Say whether a result is stored under `key`."""
        return f"result/{key}" in self

    def result(self, key: str) -> StoredResult | None:
        """Return a result, None when it is absent or was damaged (it is then forgotten)."""
        data = self._intact(f"result/{key}")
        if data is None:
            return None
        arrays, record = packing.unpack(data)
        return StoredResult(key, arrays, record)

    # -- feature blocks ----------------------------------------------------------------------------

    def put_block(self, encoder: EncoderKey, digests: list[str], rows: NDArray[np.float32]) -> str:
        """Store the feature rows of the images with these digests; returns the block's key."""
        key = f"block/{encoder.digest}/{of_record(digests)}"
        self.put(key, packing.pack({"rows": rows}, {"digests": digests}))
        return key

    def blocks(self, encoder: EncoderKey) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield (image digests, rows) of every intact block of this encoder."""
        for key in self.keys(f"block/{encoder.digest}/"):
            data = self._intact(key)
            if data is not None:
                arrays, record = packing.unpack(data)
                yield record["digests"], arrays["rows"]

    def seal(self, key: str, table: FeatureTable) -> None:
        """Write a finished feature table; raises StoreError."""
        self._refuse_read_only()
        try:
            self.tables.write(key, table)
        except OSError as error:
            raise _disk_error(error, self.directory) from error

    # -- inside ------------------------------------------------------------------------------------

    def _intact(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except CorruptEntryError:
            if self.read_only:
                raise
            self.discard(key)
            return None

    def _read_index(self) -> sqlite3.Connection | None:
        if self._reader is None:
            self._reader = index.connect(self._journal)
        return self._reader

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise StoreError(f"the store {self.directory} is open for reading only", "use another --workspace")

    def _writer(self) -> diskcache.Cache:
        self._refuse_read_only()
        if self._cache is None:
            reader = self._read_index()
            if reader is not None:
                index.refuse_foreign_settings(reader, _ALL_SETTINGS)
            try:
                self._cache = diskcache.Cache(str(self._journal), timeout=60, disk=RawDisk, **_SETTINGS)
            except OSError as error:
                raise _disk_error(error, self.directory) from error
            except sqlite3.Error as error:
                raise StoreError(
                    f"the store {self.directory} cannot be written: {error}", "free disk space or check its permissions"
                ) from error
        return self._cache


def _prepare(directory: Path, read_only: bool) -> None:
    """Make the store's directories, or refuse a directory that is not ours."""
    if not directory.exists():
        if read_only:
            raise StoreError(f"there is no store at {directory}", "run an extraction first")
        try:
            directory.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise _disk_error(error, directory) from error
    _refuse_foreign(directory)
    marker = directory / "format.json"
    if marker.exists():
        _refuse_other_format(marker)
        return
    if read_only:
        raise StoreError(f"{directory} is not a store of this program", "check --workspace")
    if any(directory.iterdir()):
        raise StoreError(f"{directory} is not empty and is not a store of this program", "choose another --workspace")
    try:
        (directory / "journal").mkdir(mode=0o700)
        (directory / "sealed").mkdir(mode=0o700)
        write_atomic(marker, json.dumps({"format": FORMAT_VERSION}).encode())
    except OSError as error:
        raise _disk_error(error, directory) from error


def _refuse_foreign(directory: Path) -> None:
    status = directory.stat()
    if status.st_uid != os.getuid():
        raise StoreError(
            f"the store {directory} belongs to another user (uid {status.st_uid})",
            "a store serves one user: choose your own --workspace; features travel as sealed files",
        )
    if status.st_mode & 0o022:
        raise StoreError(
            f"the store {directory} can be written by others (mode {status.st_mode & 0o777:o})",
            f"chmod 700 {directory}",
        )


def _refuse_other_format(marker: Path) -> None:
    try:
        version = json.loads(marker.read_bytes())["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{marker} cannot be read: {error}", "move the store aside to start a new one") from error
    if version != FORMAT_VERSION:
        raise StoreError(
            f"the store has format {version}, this program writes format {FORMAT_VERSION}",
            "use the release that wrote it, or another --workspace; nothing was changed",
        )


def _disk_error(error: OSError, directory: Path) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"the disk that holds {directory} is full",
            "free some space and run the same command again: what was stored is kept",
        )
    return StoreError(f"{directory}: {error.strerror or error}", "check the path and its permissions")
