"""The file of one stored value. It names its key, so that a wrong index can never serve it for another.

magic (4) | xxh3-128 of all that follows (16) | key bytes (u32) | body bytes (u64) | key (UTF-8) | body
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import xxhash

from medvlm_tui.errors import CorruptEntryError

_MAGIC = b"MVT2"
_LENGTHS = struct.Struct("<IQ")
_DIGEST_END = len(_MAGIC) + 16
_HEADER_BYTES = _DIGEST_END + _LENGTHS.size
# The longest key that is believed when a file's beginning is read unverified; ours have 70 to 90 bytes.
_MAX_KEY_BYTES = 4096
_HINT = "run the same command again: it is computed anew"


def encode(key: str, body: bytes) -> bytes:
    """Return the bytes of a value file."""
    name = key.encode()
    rest = b"".join((_LENGTHS.pack(len(name), len(body)), name, body))
    return b"".join((_MAGIC, xxhash.xxh3_128_digest(rest), rest))


def decode(data: bytes, name: str) -> tuple[str, bytes]:
    """Return (key, body) of `encode`'s bytes; raises CorruptEntryError unless every byte is as written."""
    rest = memoryview(data)[_DIGEST_END:]
    if data[: len(_MAGIC)] != _MAGIC or xxhash.xxh3_128_digest(rest) != data[len(_MAGIC) : _DIGEST_END]:
        raise CorruptEntryError(f"stored value {name} is damaged", _HINT)
    key_bytes, body_bytes = _LENGTHS.unpack_from(rest)
    if len(rest) != _LENGTHS.size + key_bytes + body_bytes:
        raise CorruptEntryError(f"stored value {name} is damaged", _HINT)
    begin = _LENGTHS.size + key_bytes
    return str(rest[_LENGTHS.size : begin], "utf-8"), bytes(rest[begin:])


def read(path: Path) -> tuple[str, bytes]:
    """Return (key, body) of a value file; raises CorruptEntryError when it is damaged, gone or a link."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            data = file.read()
    except OSError as error:
        raise CorruptEntryError(f"stored value {path.name} cannot be read: {error.strerror}", _HINT) from error
    return decode(data, path.name)


def read_of(path: Path, key: str) -> bytes:
    """Return the body of the value file that belongs to `key`; raises CorruptEntryError."""
    found, body = read(path)
    if found != key:
        raise CorruptEntryError(f"stored value {path.name} belongs to another key", _HINT)
    return body


def head(path: Path, size: int) -> tuple[str, bytes]:
    """Return the key and at most the first `size` bytes of the body, UNVERIFIED: whoever uses them must be able
    to tell by other means that they are right. Raises OSError, ValueError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as file:
        data = file.read(_HEADER_BYTES + _MAX_KEY_BYTES + size)
    if len(data) < _HEADER_BYTES or data[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"{path.name} is no value file")
    key_bytes, _ = _LENGTHS.unpack_from(data, _DIGEST_END)
    if key_bytes > _MAX_KEY_BYTES:
        raise ValueError(f"{path.name} names a key of {key_bytes} bytes")
    begin = _HEADER_BYTES + key_bytes
    return data[_HEADER_BYTES:begin].decode(), data[begin : begin + size]
