"""The manifest of a sealed table: whose features these are, the rows' names, and checksums of the tensor's file."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from medvlm_tui.core.specs import EncoderKey, FeatureTable
from medvlm_tui.core.store.manifest_check import schema_fault, tensor_offset

# Small enough to say where a damage lies, large enough that a table of 100 MB needs a dozen digests.
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Checksums:
    """Of a file: xxh3-128 of each chunk (at memory speed), and sha256 of the whole where it was asked for."""

    size_bytes: int
    chunks: tuple[str, ...]
    sha256: str


def checksums(path: Path, sha256: bool = True) -> Checksums:
    """Read a file once and return its checksums; raises OSError."""
    whole, chunks, size_bytes = hashlib.sha256(), [], 0
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with open(path, "rb", buffering=0) as file:
        while count := _fill(file, buffer):
            chunk = buffer[:count]
            chunks.append(xxhash.xxh3_128_hexdigest(chunk))
            size_bytes += count
            if sha256:
                whole.update(chunk)
    return Checksums(size_bytes, tuple(chunks), whole.hexdigest() if sha256 else "")


def fault(record: dict[str, Any], path: Path, sha256: bool = False) -> str:
    """Return what is wrong in the manifest or differs in the file, or an empty text; raises OSError."""
    if wrong := schema_fault(record):
        return f"its manifest is not as this program writes it: {wrong}"
    if record["chunk_bytes"] != CHUNK_BYTES:
        return "its manifest is of another release"
    found = checksums(path, sha256)
    if found.size_bytes != record["size_bytes"]:
        return f"the file has {found.size_bytes} bytes, the manifest says {record['size_bytes']}"
    for number, (ours, theirs) in enumerate(zip(found.chunks, record["chunks"], strict=True)):
        if ours != theirs:
            begin = number * CHUNK_BYTES
            return f"the bytes {begin} to {min(begin + CHUNK_BYTES, found.size_bytes)} are not as sealed"
    if sha256 and found.sha256 != record["sha256"]:
        return "its sha256 is not the manifest's"
    try:
        tensor_offset(path, tuple(record["shape"]))
    except ValueError as error:
        return f"the program cannot use it: {error}"
    return ""


def of_table(key: str, table: FeatureTable, path: Path) -> dict[str, Any]:
    """Return the manifest of `table`, whose tensor lies in `path`."""
    found = checksums(path)
    return {
        "key": key,
        "encoder": asdict(table.encoder),
        "dataset_digest": table.dataset_digest,
        "shape": list(table.matrix.shape),
        "classes": list(table.classes),
        "failed": dict(table.failed),
        "provenance": dict(table.provenance),
        "size_bytes": found.size_bytes,
        "sha256": found.sha256,
        "chunk_bytes": CHUNK_BYTES,
        "chunks": list(found.chunks),
        "ids": list(table.ids),
        "labels": list(table.labels),
        "groups": list(table.groups),
    }


def to_table(record: dict[str, Any], matrix: np.ndarray[Any, np.dtype[np.float32]]) -> FeatureTable:
    """Return the table of a manifest around its matrix."""
    return FeatureTable(
        encoder=EncoderKey(**record["encoder"]),
        dataset_digest=record["dataset_digest"],
        ids=tuple(record["ids"]),
        labels=tuple(record["labels"]),
        groups=tuple(record["groups"]),
        matrix=matrix,
        classes=tuple(record["classes"]),
        failed=record["failed"],
        provenance=record["provenance"],
    )


def _fill(file: Any, buffer: memoryview) -> int:
    """Read until the buffer is full or the file ends: a raw read may return less than it was asked for."""
    count = 0
    while count < len(buffer) and (read := file.readinto(buffer[count:])):
        count += read
    return count
