"""The store: a write-once journal of blocks and results, and sealed feature tables.

    STORE/format.json          version and kind of journal, so that another release can tell
    STORE/journal/             blocks of features, results of analyses: `sqlite/` on a local disk,
                               `file_journal.py` on a network file system
    STORE/sealed/KEY.safetensors + KEY.json   finished feature tables, memory-mapped by analyses
    STORE/file_digests.json    which file had which digest (a cache, may be lost)
    STORE/measured.json        what was measured on this machine: batch sizes, precisions (a cache, may be lost)

What `put` has returned for survives kill -9 and a power cut, and nothing ever returns wrong bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.atomic_files import make_directory
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.specs import EncoderKey, FeatureTable
from medvlm_tui.core.store import directory as store_format
from medvlm_tui.core.store import keys, packing, records
from medvlm_tui.core.store.journal import Journal
from medvlm_tui.core.store.locks import StoreLock
from medvlm_tui.core.store.machine_cache import Measured
from medvlm_tui.core.store.sealed_tables import SealedTables
from medvlm_tui.errors import CorruptEntryError, StoreError

# The packed header of a block of 256 images has 11 KB.
_HEAD_BYTES = 64 << 10
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Stored(Generic[R]):
    """A result as the store gives it back: named arrays and the record of its stage."""

    key: str
    arrays: Mapping[str, NDArray[Any]]
    record: R


StoredResult: TypeAlias = Stored[Mapping[str, Any]]
"""A result whose record is not decoded: the JSON object as it was written."""


class Store:
    """One user's store in one directory; an object belongs to the thread that made it."""

    def __init__(self, directory: Path, read_only: bool = False) -> None:
        """Open `directory`, making it when absent; raises StoreError when it is not ours to use."""
        opened = store_format.open_directory(directory, read_only)
        self.directory = directory
        self.read_only = read_only
        self.notice = opened.notice
        """Notice about the store's file system, which a front end shows once; empty on a local disk."""
        self.kind = opened.journal
        if not read_only:
            self._make_folders()
        self.lock = StoreLock(directory, usable=opened.journal == "sqlite" and not read_only)
        self.journal = _open_journal(opened, directory / "journal")
        self.tables = SealedTables(directory / "sealed", read_only)
        self.file_digests = FileDigests(directory / "file_digests.json")
        self.measured = Measured(directory / "measured.json", read_only)

    def close(self) -> None:
        """Close the index; what was put is durable already."""
        try:
            if not self.read_only:
                self.file_digests.save()
        finally:
            self.journal.close()
            self.lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- raw entries -------------------------------------------------------------------------------

    def put(self, key: str, value: bytes) -> None:
        """Store `value` durably under `key`; a key that has an intact value keeps it."""
        with self._writing():
            if self.journal.add(key, value):
                return
            try:
                self.journal.value(key)
            except CorruptEntryError:
                self.journal.discard(key)
                self.journal.add(key, value)

    def get(self, key: str) -> bytes | None:
        """Return the verified value of `key`, None when there is none; raises CorruptEntryError."""
        return self.journal.value(key)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        return self.journal.keys(prefix)

    def __contains__(self, key: str) -> bool:
        return key in self.journal

    def discard(self, key: str) -> None:
        """Forget an entry, for example a damaged one, so that it can be computed again."""
        with self._writing():
            self.journal.discard(key)

    # -- results -----------------------------------------------------------------------------------

    def put_result(self, key: str, arrays: packing.Arrays, record: Any) -> None:
        """Store a result under `key`; `record` is a dataclass of `stages/records`, or a JSON object."""
        self.put(keys.result(key), packing.pack(arrays, records.to_object(record)))

    def has_result(self, key: str) -> bool:
        """Return whether a result is stored under `key`."""
        return keys.result(key) in self

    def read(self, key: str, record: type[R]) -> Stored[R] | None:
        """Return a result whose record is of this class, None when it is absent or was damaged (it is then forgotten).

        A record of another shape counts as damaged. A store that is open for reading only raises CorruptEntryError.
        """
        found = self.result(key)
        decoded = None if found is None else self._decoded(key, found.record, record)
        return None if found is None or decoded is None else Stored(key, found.arrays, decoded)

    def read_record(self, key: str, record: type[R]) -> R | None:
        """Return the record of a result without its arrays, under the same conditions as `read`."""
        found = self.record(key)
        return None if found is None else self._decoded(key, found, record)

    def result(self, key: str) -> StoredResult | None:
        """Return a result with its record as JSON, None when it is absent or was damaged (it is then forgotten)."""
        data = self._intact(keys.result(key))
        if data is None:
            return None
        arrays, record = packing.unpack(data)
        return Stored(key, arrays, record)

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the record of a result as JSON without its arrays, None when it is absent or was damaged."""
        data = self._intact(keys.result(key))
        return None if data is None else packing.record_of(data)

    # -- feature blocks ----------------------------------------------------------------------------

    def put_block(self, encoder: EncoderKey, digests: list[str], rows: NDArray[np.float32]) -> str:
        """Store the feature rows of the images with these digests; returns the block's key."""
        key = keys.block(encoder, digests)
        self.put(key, packing.pack({"rows": rows}, {"digests": digests, "encoder": asdict(encoder)}))
        return key

    def blocks(
        self, encoder: EncoderKey, wanted: Collection[str] | None = None
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield (image digests, rows) of every intact block of this encoder.

        With `wanted` only the blocks that hold one of these images are read; of the others their headers are.
        """
        chosen = None if wanted is None else set(wanted)
        for key in self.keys(keys.blocks(encoder)):
            if chosen is not None:
                listed = self._listed(key)
                if listed is not None and chosen.isdisjoint(listed):
                    continue
            data = self._intact(key)
            if data is not None:
                arrays, record = packing.unpack(data)
                yield record["digests"], arrays["rows"]

    def block_digests(self, encoder: EncoderKey) -> Iterator[list[str]]:
        """Yield the image digests of every block of this encoder, read from the headers alone."""
        for key in self.keys(keys.blocks(encoder)):
            listed = self._listed(key)
            if listed is not None:
                yield listed

    def seal(self, key: str, table: FeatureTable) -> None:
        """Write a finished feature table; raises StoreError."""
        with self._writing():
            self.tables.write(key, table)

    # -- inside ------------------------------------------------------------------------------------

    def _listed(self, key: str) -> list[str] | None:
        """Return the image digests in a block's header, None unless they are what the block's key is made of."""
        try:
            digests = packing.record_of(self.journal.head(key, _HEAD_BYTES))["digests"]
            return digests if keys.is_block_of(key, digests) else None
        except (OSError, ValueError, KeyError, TypeError, CorruptEntryError):
            return None

    def _decoded(self, key: str, found: Mapping[str, Any], record: type[R]) -> R | None:
        try:
            return records.from_object(found, record)
        except CorruptEntryError:
            if self.read_only:
                raise
            self.discard(keys.result(key))
            return None

    def _intact(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except CorruptEntryError:
            if self.read_only:
                raise
            self.discard(key)
            return None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self.read_only:
            raise StoreError(f"the store {self.directory} is open for reading only", "use another --workspace")
        try:
            with self.lock.shared():
                yield
        except OSError as error:
            raise store_format.disk_error(error, self.directory) from error

    def _make_folders(self) -> None:
        try:
            for name in ("journal", "sealed"):
                make_directory(self.directory / name)
        except OSError as error:
            raise store_format.disk_error(error, self.directory) from error


def _open_journal(opened: store_format.Opened, folder: Path) -> Journal:
    if opened.journal == "files":
        from medvlm_tui.core.store.file_journal import FileJournal

        return FileJournal(folder)
    from medvlm_tui.core.store.sqlite.journal import SqliteJournal

    return SqliteJournal(folder, frozen=bool(opened.network))
