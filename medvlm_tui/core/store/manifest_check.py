"""Checks of a manifest and its tensor's header, before a sealed table is read, imported, or reported as intact."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from medvlm_tui.core.specs import EncoderKey, Precision
from medvlm_tui.core.store.keys import TABLE_KEY, table_key

TENSOR = "features"
# A header of one tensor has some 100 bytes; safetensors itself refuses more than 100 MB.
_LARGEST_HEADER_BYTES = 1 << 20
_HEX64 = re.compile(r"[0-9a-f]{64}")
# The step that seals tables has a version, which is part of the key and not of the manifest.
_VERSIONS = range(1, 33)


def schema_fault(record: Any) -> str:
    """Return what in a manifest differs from what this program writes, or an empty text; checks every row."""
    if fault := head_fault(record):
        return fault
    rows, size_bytes, chunk_bytes = record["shape"][0], record["size_bytes"], record["chunk_bytes"]
    for name in ("ids", "labels", "groups"):
        if len(record[name]) != rows or not all(isinstance(item, str) for item in record[name]):
            return f"its {name} are not {rows} texts"
    if len(set(record["ids"])) != rows:
        return "an image is named twice"
    if len(record["chunks"]) != math.ceil(size_bytes / chunk_bytes):
        return f"it has {len(record['chunks'])} digests for {size_bytes} bytes"
    return ""


def head_fault(record: Any) -> str:
    """Return the same for all fields except the rows' names; enough for provenance and listings."""
    if not isinstance(record, Mapping):
        return "it is no manifest"
    for name, fits in _FIELDS.items():
        if not fits(record.get(name)):
            return f"its field {name} is missing or of another kind"
    return ""


def key_fault(record: Mapping[str, Any]) -> str:
    """Return whether the key differs from the key of this encoder on this dataset."""
    encoder, dataset = EncoderKey(**record["encoder"]), record["dataset_digest"]
    fits = any(record["key"] == table_key(version, encoder, dataset) for version in _VERSIONS)
    return "" if fits else "its key is not the one of its encoder and dataset"


def tensor_offset(path: Path, shape: tuple[int, ...]) -> int:
    """Return where the one tensor of a file begins; raises ValueError unless it is float32 of this shape."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= _LARGEST_HEADER_BYTES:
            raise ValueError("its header has no size that the store writes")
        try:
            header = json.loads(file.read(length))
        except RecursionError as error:
            raise ValueError("its header is no JSON") from error
        size_bytes = file.seek(0, 2)
    found = header.get(TENSOR) if isinstance(header, dict) else None
    wanted = {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 4 * math.prod(shape)]}
    if set(header) - {"__metadata__"} != {TENSOR} or found != wanted:
        raise ValueError(f"it does not hold one float32 tensor {TENSOR!r} of shape {list(shape)}")
    if size_bytes != 8 + length + 4 * math.prod(shape):
        raise ValueError("it has more or fewer bytes than its tensor")
    return 8 + length


def _is_encoder(value: Any) -> bool:
    names = {field.name for field in fields(EncoderKey)}
    texts = isinstance(value, dict) and set(value) == names and all(isinstance(text, str) for text in value.values())
    return texts and value["precision"] in get_args(Precision)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value)) and value[1] > 0


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_FIELDS = {
    "key": lambda value: isinstance(value, str) and TABLE_KEY.fullmatch(value) is not None,
    "encoder": _is_encoder,
    "dataset_digest": _is_text,
    "shape": _is_shape,
    "classes": _are_texts,
    "failed": lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
    "provenance": lambda value: isinstance(value, dict),
    "size_bytes": _is_count,
    "sha256": lambda value: isinstance(value, str) and _HEX64.fullmatch(value) is not None,
    "chunk_bytes": lambda value: _is_count(value) and value > 0,
    "chunks": _are_texts,
    "ids": _is_list,
    "labels": _is_list,
    "groups": _is_list,
}
