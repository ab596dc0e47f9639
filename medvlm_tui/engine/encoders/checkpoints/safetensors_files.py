"""The head of a .safetensors file, checked: which tensor lies where. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library itself
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Place:
    """One tensor in its file."""

    dtype: str
    """As the format names it: F32, BF16, ..."""
    shape: tuple[int, ...]
    begin: int
    """Of its bytes, from the file's beginning."""
    end: int


def read_header(path: Path) -> dict[str, Place]:
    """Return where each tensor lies; raises ValueError, KeyError or TypeError for a head that lies, OSError."""
    size = path.stat().st_size
    with open(path, "rb", buffering=0) as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if not 2 <= length <= min(size - _LENGTH_BYTES, _MAX_HEADER_BYTES):
            raise ValueError("its header is longer than the file")
        table = json.loads(file.read(length))
    first = _LENGTH_BYTES + length
    return {name: _place(name, value, first, size) for name, value in table.items() if name != "__metadata__"}


def _place(name: str, value: Mapping[str, Any], first: int, size: int) -> Place:
    dtype = str(value["dtype"])
    shape = tuple(int(side) for side in value["shape"])
    begin, end = (int(offset) for offset in value["data_offsets"])
    if not 0 <= begin <= end <= size - first or min(shape, default=0) < 0:
        raise ValueError(f"tensor {name} lies outside the file, which is shorter than its header says")
    if end - begin != math.prod(shape) * _ITEM_BYTES[dtype]:
        raise ValueError(f"tensor {name} has {end - begin} bytes, which is not its shape {list(shape)}")
    return Place(dtype, shape, first + begin, first + end)
