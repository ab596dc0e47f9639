"""Sealed feature tables: one safetensors file and one manifest that vouches for it, memory-mapped when read."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors.numpy import save_file

from medvlm_tui.core import checked_json
from medvlm_tui.core.atomic_files import TEMPORARY, fsync_directory, make_directory, write_atomic
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store import records, sealed_manifest
from medvlm_tui.core.store.journal import Damage
from medvlm_tui.core.store.keys import TABLE_KEY
from medvlm_tui.core.store.manifest_check import TENSOR, head_fault, key_fault, schema_fault, tensor_offset
from medvlm_tui.errors import CorruptEntryError, StoreError

R = TypeVar("R")
DAMAGED = ".damaged"
"""Suffix under which a damaged file is kept until a scrub removes it."""
# safetensors writes beside its target and renames, so that a kill leaves its own temporary file behind.
_SAFETENSORS_TEMPORARY = re.compile(r"\.tmp[0-9A-Za-z]{6}")


class SealedTables:
    """The `sealed` folder of a store."""

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self._folder = folder
        self._read_only = read_only
        self._verified: dict[str, tuple[int, int, int]] = {}

    def write(self, key: str, table: FeatureTable) -> None:
        """Write the table durably: the tensor first, the manifest that vouches for it last."""
        make_directory(self._folder)
        matrix = np.ascontiguousarray(table.matrix, dtype=np.float32)
        temporary = self._temporary()
        try:
            save_file({TENSOR: matrix}, temporary)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            record = sealed_manifest.of_table(key, table, temporary)
            os.replace(temporary, self.tensor_path(key))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._vouch(key, record)

    def adopt(self, tensor: Path, record: dict[str, Any], keep: bool = False) -> None:
        """Take in a table that another store sealed; raises CorruptEntryError unless the copy is what `record` says.

        `keep`: check it only, as the store's own stays.
        """
        if fault := schema_fault(record) or key_fault(record):
            raise CorruptEntryError(f"{tensor.with_suffix('.json').name} is not imported: {fault}")
        key = str(record["key"])
        make_directory(self._folder)
        temporary = self._temporary()
        try:
            shutil.copyfile(tensor, temporary)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            fault = sealed_manifest.fault(record, temporary, sha256=True)
            if fault := fault or _values_fault(_map(temporary, tuple(record["shape"]))):
                raise CorruptEntryError(f"{tensor.name} is not imported: {fault}")
            if keep:
                temporary.unlink()
                return
            os.replace(temporary, self.tensor_path(key))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._vouch(key, record)

    def _vouch(self, key: str, record: dict[str, Any]) -> None:
        """Make the renamed tensor durable, then write the manifest that says it is whole."""
        fsync_directory(self._folder)
        self._verified.pop(key, None)
        write_atomic(self.manifest_path(key), checked_json.dump(record))

    def __contains__(self, key: str) -> bool:
        """Return whether a table exists; `intact` also checks its bytes."""
        return self.manifest_path(key).exists() and self.tensor_path(key).exists()

    def listed(self) -> list[str]:
        """Return the keys of the tables that are there, sorted."""
        names = os.listdir(self._folder) if self._folder.is_dir() else []
        found = {name[: -len(".json")] for name in names if name.endswith(".json")}
        return sorted(key for key in found if TABLE_KEY.fullmatch(key) and key in self)

    def intact(self, key: str) -> bool:
        """Return whether a table exists and every byte is as sealed; each process reads its file once."""
        return self._load(key) is not None

    def read(self, key: str) -> FeatureTable | None:
        """Return the table with its matrix memory-mapped, None when it is absent or damaged.

        A damaged table is set aside, so that the next run computes it again from the journal.
        """
        record = self._load(key)
        if record is None:
            return None
        try:
            return sealed_manifest.to_table(record, _map(self.tensor_path(key), tuple(record["shape"])))
        except (CorruptEntryError, OSError):
            return None

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the manifest without its rows' names, or None: what provenance a report needs."""
        record = self.manifest(key)
        left_out = {"ids", "labels", "groups", "chunks"}
        return None if record is None else {name: value for name, value in record.items() if name not in left_out}

    def read_record(self, key: str, record: type[R]) -> R | None:
        """Return the manifest without its rows' names as a record of this class; None when it is absent or damaged."""
        found = self.record(key)
        try:
            return None if found is None else records.from_object(found, record)
        except CorruptEntryError:
            return None

    def manifest(self, key: str) -> dict[str, Any] | None:
        """Return the whole manifest, None when it is absent or damaged; the tensor is not looked at."""
        if key not in self:
            return None
        try:
            return self._manifest(key)
        except (CorruptEntryError, OSError):
            return None

    def damages(self) -> Iterator[Damage]:
        """Read every byte of every table and say what is not as sealed."""
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else []:
            if _is_leftover(path.name):
                continue
            if path.suffix not in (".json", ".safetensors") or not TABLE_KEY.fullmatch(path.stem):
                yield Damage(f"sealed/{path.name}", "a file that the store never writes")
            elif path.suffix == ".json":
                if fault := self._fault(path.stem):
                    yield Damage(f"sealed/{path.stem}", fault, path.stem)
            elif not self.manifest_path(path.stem).exists():
                yield Damage(f"sealed/{path.name}", "it has no manifest", path.stem)

    def set_aside(self, key: str) -> None:
        """Make a damaged table absent; its files stay until a scrub."""
        for path in (self.manifest_path(key), self.tensor_path(key)):
            if path.exists():
                path.replace(path.with_name(path.name + DAMAGED))

    def remove(self, key: str) -> None:
        """Delete a table, the manifest first."""
        for path in (self.manifest_path(key), self.tensor_path(key)):
            path.unlink(missing_ok=True)
        fsync_directory(self._folder)

    def strays(self) -> list[Path]:
        """Return temporary and damaged files, and tensors whose manifest was never written."""
        if not self._folder.is_dir():
            return []
        return sorted(
            path
            for path in self._folder.iterdir()
            if _is_leftover(path.name) or (path.suffix == ".safetensors" and not self.manifest_path(path.stem).exists())
        )

    def tensor_path(self, key: str) -> Path:
        """Return the path of the matrix."""
        return self._folder / f"{_checked_key(key)}.safetensors"

    def manifest_path(self, key: str) -> Path:
        """Return the path of the manifest."""
        return self._folder / f"{_checked_key(key)}.json"

    def _temporary(self) -> Path:
        descriptor, name = tempfile.mkstemp(suffix=TEMPORARY, dir=self._folder)
        os.close(descriptor)
        return Path(name)

    def _manifest(self, key: str) -> dict[str, Any]:
        record = checked_json.load(self.manifest_path(key).read_bytes(), f"the manifest of sealed table {key}")
        if fault := head_fault(record):
            raise CorruptEntryError(f"the manifest of sealed table {key} is not as this program writes it: {fault}")
        if record["key"] != key:
            raise CorruptEntryError(f"the manifest of sealed table {key} is another's")
        made: dict[str, Any] = record
        return made

    def _load(self, key: str) -> dict[str, Any] | None:
        if key not in self:
            return None
        try:
            record = self._manifest(key)
            status = self.tensor_path(key).stat()
            seen = (status.st_ino, status.st_size, status.st_mtime_ns)
            if self._verified.get(key) != seen:
                if fault := sealed_manifest.fault(record, self.tensor_path(key)):
                    raise CorruptEntryError(fault)
                self._verified[key] = seen
            return record
        except OSError:
            return None
        except CorruptEntryError:
            if not self._read_only:
                self.set_aside(key)
            return None

    def _fault(self, key: str) -> str:
        try:
            return sealed_manifest.fault(self._manifest(key), self.tensor_path(key), sha256=True)
        except CorruptEntryError as error:
            return error.message
        except OSError as error:
            return f"it cannot be read: {error.strerror}"


def _checked_key(key: str) -> str:
    if not TABLE_KEY.fullmatch(key):
        raise StoreError("a sealed table's key holds characters that the store never writes")
    return key


def _map(path: Path, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Map the tensor of a file that was verified; raises CorruptEntryError when it was changed since."""
    try:
        offset = tensor_offset(path, shape)
    except ValueError as error:
        raise CorruptEntryError(f"{path.name}: {error}") from error
    if 0 in shape:
        return np.zeros(shape, np.float32)
    return np.memmap(path, dtype=np.float32, mode="r", offset=offset, shape=shape)


def _values_fault(matrix: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    """Return whether a table from another store cannot hold an encoder's features, because all rows are equal."""
    step = 4096
    if len(matrix) > 1 and all((matrix[at : at + step] == matrix[0]).all() for at in range(0, len(matrix), step)):
        return "all of its rows are the same"
    return ""


def _is_leftover(name: str) -> bool:
    """Return whether a file is incomplete or set aside, which makes it neither a table nor damage."""
    return name.endswith((TEMPORARY, DAMAGED)) or _SAFETENSORS_TEMPORARY.fullmatch(name) is not None
