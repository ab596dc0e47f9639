"""Seeded damage to files: the same seed makes the same bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

_EDGES = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
_WORDS = (
    b"\x00",
    b"\xff",
    b"\n",
    b"\r\n",
    b",",
    b";",
    b'"',
    b"[",
    b"{",
    b"]]",
    b"nan",
    b"-1",
    b"1e999",
    b"..",
    b"\x1b]0;x\x07",
)
_FORMATS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")


def mutated(originals: Sequence[bytes], seed: str) -> bytes:
    """Return one of the files with one to eight damages."""
    draw = random.Random(seed)
    data = bytearray(draw.choice(originals))
    for _ in range(draw.randint(1, 8)):
        draw.choice(_DAMAGES)(data, draw, originals)
    return bytes(data)


def _place(data: bytearray, draw: random.Random) -> int:
    """Return a position; the first 512 bytes, where headers lie, as often as all others."""
    return draw.randrange(max(1, min(len(data), 512) if draw.random() < 0.5 else len(data)))


def _flip(data: bytearray, draw: random.Random, _: Sequence[bytes]) -> None:
    for _unused in range(draw.randint(1, 16)):
        if data:
            data[_place(data, draw)] ^= 1 << draw.randrange(8)


def _number(data: bytearray, draw: random.Random, _: Sequence[bytes]) -> None:
    kind = draw.choice(_FORMATS)
    packed = struct.pack(kind, draw.choice(_EDGES) % 256 ** struct.calcsize(kind))
    at = _place(data, draw)
    data[at : at + len(packed)] = packed


def _cut(data: bytearray, draw: random.Random, _: Sequence[bytes]) -> None:
    del data[_place(data, draw) :]


def _remove(data: bytearray, draw: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, draw)
    del data[at : at + draw.randint(1, 64)]


def _repeat(data: bytearray, draw: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, draw)
    piece = bytes(data[at : at + draw.randint(1, 64)])
    data[at:at] = piece * draw.choice((1, 2, 100, 5000))


def _insert(data: bytearray, draw: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, draw)
    data[at:at] = draw.choice(_WORDS) * draw.choice((1, 1, 3, 10_000))


def _splice(data: bytearray, draw: random.Random, originals: Sequence[bytes]) -> None:
    other = draw.choice(originals)
    at = _place(data, draw)
    data[at:] = other[min(at, len(other)) :]


_DAMAGES: tuple[Callable[[bytearray, random.Random, Sequence[bytes]], None], ...] = (
    _flip, _flip, _number, _number, _cut, _remove, _repeat, _insert, _splice,
)  # fmt: skip
