"""The head of a .safetensors file, checked: which tensor lies where. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Every type that the format has a name for, in bits.
_ITEM_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64,
    "U32": 32, "U16": 16, "U8": 8, "BOOL": 8, "C64": 64,
}  # fmt: skip
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library itself
_MAX_DIMENSIONS = 32
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
    places = {name: _place(name, value, first, size) for name, value in table.items() if name != "__metadata__"}
    if sum(place.end - place.begin for place in places.values()) > size - first:
        raise ValueError("its tensors lie over each other")
    return places


def _place(name: str, value: Mapping[str, Any], first: int, size: int) -> Place:
    dtype = str(value["dtype"])
    shape = tuple(value["shape"])
    begin, end = value["data_offsets"]
    if len(shape) > _MAX_DIMENSIONS or any(type(number) is not int for number in (*shape, begin, end)):
        raise ValueError(f"tensor {name} has no shape or no place")
    if not 0 <= begin <= end <= size - first or min(shape, default=0) < 0:
        raise ValueError(f"tensor {name} lies outside the file, which is shorter than its header says")
    if dtype not in _ITEM_BITS:
        raise ValueError(f"tensor {name} is of the type {dtype}, which the format does not have")
    if (end - begin) * 8 != math.prod(shape) * _ITEM_BITS[dtype]:
        raise ValueError(f"tensor {name} has {end - begin} bytes, which is not its shape {list(shape)}")
    return Place(dtype, shape, first + begin, first + end)
