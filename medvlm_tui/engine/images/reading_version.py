"""Which files are turned into other pixels than by the first release: their digest says so, and features are made anew.

Runs in the planning process, so that it looks at fixed places and short headers, and decodes nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from medvlm_tui.engine.images.file_kind import is_dicom

CURRENT = "2"
"""Raised when files that `reading_version` names are read otherwise."""
_HEAD_BYTES = 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_PNM = re.compile(rb"P[2356]" + _SPACE + rb"\d+" + _SPACE + rb"\d+" + _SPACE + rb"(\d{1,5})")
_BITS, _PHOTOMETRIC, _SAMPLES, _COLOUR_MAP, _SAMPLE_FORMAT = 258, 262, 277, 320, 339
_UNSIGNED, _SIGNED = 1, 2
_SHORT, _LONG = 3, 4
_MOST_VALUES = 768


def reading_version(path: Path) -> str:
    """Return the version of the code that reads this file, empty for the first one; raises OSError.

    Changed since then: DICOM; TIFF, PNG, PGM and PPM of more than 8 bits per channel that are not plain grey as Pillow
    reads it; transparent levels in PNG of 2, 4 and 16 bits; signed bytes and colour maps of bytes in TIFF.
    """
    if is_dicom(path):
        return CURRENT
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
        changed = _png_changed(head) or _pnm_changed(head) or _tiff_changed(head[:8], file)
    return CURRENT if changed else ""


def _png_changed(head: bytes) -> bool:
    if not head.startswith(_PNG) or len(head) < 26:
        return False
    depth, colour = head[24], head[25]
    return (depth == 16 and colour != 0) or (colour == 0 and depth in (2, 4, 16) and b"tRNS" in head)


def _pnm_changed(head: bytes) -> bool:
    match = _PNM.match(head)
    return match is not None and int(match[1]) > 255


def _tiff_changed(mark: bytes, file: BinaryIO) -> bool:
    order = _TIFF.get(mark[:4])
    if order is None or len(mark) < 8:
        return False
    fields = dict(_tiff_fields(file, order, struct.unpack(f"{order}I", mark[4:])[0]))
    bits, kind = max(fields.get(_BITS, (1,))), fields.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]
    if bits <= 8:
        table = fields.get(_COLOUR_MAP, ())
        return (bits == 8 and kind == _SIGNED) or (bool(table) and max(table) < 256)
    several, white_first = fields.get(_SAMPLES, (1,))[0] > 1, fields.get(_PHOTOMETRIC, (0,))[0] == 0
    return several or white_first or (bits == 32 and kind == _UNSIGNED)


def _tiff_fields(file: BinaryIO, order: str, offset: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield tag and values of the whole numbers in the first directory."""
    file.seek(offset)
    start = file.read(2)
    entries = file.read(12 * struct.unpack(f"{order}H", start)[0]) if len(start) == 2 else b""
    for begin in range(0, len(entries) - 11, 12):
        tag, kind, count = struct.unpack(f"{order}HHI", entries[begin : begin + 8])
        letter = {_SHORT: "H", _LONG: "I"}.get(kind)
        if letter is None or not 0 < count <= _MOST_VALUES:
            continue
        size = struct.calcsize(letter) * count
        data = entries[begin + 8 : begin + 8 + size]
        if size > 4:
            file.seek(struct.unpack(f"{order}I", entries[begin + 8 : begin + 12])[0])
            data = file.read(size)
        if len(data) == size:
            yield tag, struct.unpack(f"{order}{count}{letter}", data)
