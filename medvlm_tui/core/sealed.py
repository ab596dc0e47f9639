"""Sealed feature tables: one safetensors file and one JSON manifest each, memory-mapped when read."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from medvlm_tui.core.digests import of_file
from medvlm_tui.core.files import fsync_directory, write_atomic
from medvlm_tui.core.specs import EncoderKey, FeatureTable

_TENSOR = "features"


class SealedTables:
    """The `sealed` folder of a store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._verified: set[str] = set()

    def write(self, key: str, table: FeatureTable) -> None:
        """Write the table durably: the tensor first, the manifest that vouches for it last."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        matrix = np.ascontiguousarray(table.matrix, dtype=np.float32)
        descriptor, temporary = tempfile.mkstemp(suffix=".tmp", dir=self._folder)
        os.close(descriptor)
        try:
            save_file({_TENSOR: matrix}, temporary)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            manifest = _manifest(table, Path(temporary))
            os.replace(temporary, self._tensor_path(key))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        fsync_directory(self._folder)
        write_atomic(self._manifest_path(key), json.dumps(manifest, ensure_ascii=True).encode())

    def __contains__(self, key: str) -> bool:
        return self._manifest_path(key).exists() and self._tensor_path(key).exists()

    def read(self, key: str) -> FeatureTable | None:
        """Return the table with its matrix memory-mapped, or None when it is absent or damaged.

        The file's digest is compared with the manifest's once in a process.
        """
        if key not in self:
            return None
        try:
            manifest = json.loads(self._manifest_path(key).read_bytes())
            path = self._tensor_path(key)
            if key not in self._verified and of_file(path) != manifest["xxh3_128"]:
                return None
            self._verified.add(key)
            return _table(manifest, _map(path, tuple(manifest["shape"])))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the manifest without its rows' names, or None: what provenance a report needs."""
        if key not in self:
            return None
        manifest = json.loads(self._manifest_path(key).read_bytes())
        return {name: value for name, value in manifest.items() if name not in {"ids", "labels", "groups"}}

    def _tensor_path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"

    def _manifest_path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _manifest(table: FeatureTable, path: Path) -> dict[str, Any]:
    return {
        "encoder": asdict(table.encoder),
        "dataset_digest": table.dataset_digest,
        "ids": list(table.ids),
        "labels": list(table.labels),
        "groups": list(table.groups),
        "classes": list(table.classes),
        "failed": dict(table.failed),
        "provenance": dict(table.provenance),
        "shape": list(table.matrix.shape),
        "xxh3_128": of_file(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _table(manifest: dict[str, Any], matrix: np.ndarray[Any, np.dtype[np.float32]]) -> FeatureTable:
    return FeatureTable(
        encoder=EncoderKey(**manifest["encoder"]),
        dataset_digest=manifest["dataset_digest"],
        ids=tuple(manifest["ids"]),
        labels=tuple(manifest["labels"]),
        groups=tuple(manifest["groups"]),
        matrix=matrix,
        classes=tuple(manifest["classes"]),
        failed=manifest["failed"],
        provenance=manifest["provenance"],
    )


def _map(path: Path, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    begin, end = header[_TENSOR]["data_offsets"]
    if header[_TENSOR]["dtype"] != "F32" or end - begin != 4 * int(np.prod(shape)):
        raise ValueError("the tensor is not what its manifest says")
    return np.memmap(path, dtype=np.float32, mode="r", offset=8 + length + begin, shape=shape)
