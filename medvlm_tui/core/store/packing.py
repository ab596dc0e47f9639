"""Arrays and a small JSON record as one run of bytes: the safetensors format, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from medvlm_tui.errors import CorruptEntryError

Arrays = Mapping[str, NDArray[Any]]


def pack(arrays: Arrays, record: Mapping[str, Any]) -> bytes:
    """Return `arrays` and `record` as bytes; equal inputs give equal bytes."""
    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    text = json.dumps(record, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return bytes(save(ordered, metadata={"record": text}))


def unpack(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the record that `pack` was given; raises CorruptEntryError."""
    try:
        return load(data), record_of(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptEntryError(f"a stored result cannot be read: {error}", "run the same command again") from error


def record_of(data: bytes) -> dict[str, Any]:
    """Return only the record, without touching the arrays."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    record = json.loads(header["__metadata__"]["record"])
    return dict(record)
