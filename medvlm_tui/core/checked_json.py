"""A JSON file that vouches for itself: every byte of it is covered by a digest inside it."""

from __future__ import annotations

import json
from typing import Any

import xxhash

from medvlm_tui.errors import CorruptEntryError

_PREFIX = b'{"xxh3_128":"'
_MIDDLE = b'","record":'
_END = b"}\n"


def dump(record: Any) -> bytes:
    """Return `record` as `{"xxh3_128": DIGEST OF THE RECORD'S BYTES, "record": ...}`."""
    return _wrap(json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode())


def load(data: bytes, name: str) -> Any:
    """Return the record of `dump`'s bytes; raises CorruptEntryError unless every byte is as written."""
    begin = len(_PREFIX) + 32 + len(_MIDDLE)
    body = data[begin : -len(_END)]
    if _wrap(body) != data:
        raise CorruptEntryError(f"{name} is damaged", "run the same command again: it is computed anew")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CorruptEntryError(f"{name} is no JSON: {error}") from error


def _wrap(body: bytes) -> bytes:
    return _PREFIX + xxhash.xxh3_128_hexdigest(body).encode() + _MIDDLE + body + _END
