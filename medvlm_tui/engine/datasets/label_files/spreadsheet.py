"""The first sheet of an .xlsx file as rows of text: all that a label file needs, without another dependency."""

from __future__ import annotations

import lzma
import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

_MAX_BYTES = 64 << 20
_COLUMN = re.compile(r"[A-Z]+")
_SHEET = "xl/worksheets/sheet1.xml"
_STRINGS = "xl/sharedStrings.xml"
# What zipfile, zlib, lzma and expat raise at damaged bytes; RuntimeError is a member that asks for a password.
_NO_WORKBOOK = (
    BadZipFile, KeyError, IndexError, ElementTree.ParseError, NotImplementedError, EOFError, MemoryError, RuntimeError,
    zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip


def read_rows(path: Path) -> list[list[str]]:
    """Return the cells of the first sheet, row by row; a cell that is not there is empty.

    Raises OSError or ValueError when the file is no workbook or would unpack to more than 64 MiB.
    """
    try:
        with ZipFile(path) as archive:
            strings = [_text(item) for item in _parsed(archive, _STRINGS)] if _STRINGS in archive.namelist() else []
            return [_cells(row, strings) for row in _parsed(archive, _SHEET).iter(_tag("row"))]
    except _NO_WORKBOOK as error:
        raise ValueError(f"it is no workbook: {error or type(error).__name__}") from error


def _parsed(archive: ZipFile, name: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > _MAX_BYTES:
        raise ValueError(f"{name} unpacks to more than {_MAX_BYTES >> 20} MiB")
    # expat (2.4.1 and newer) stops entity bombs itself, and ElementTree fetches nothing from outside.
    return ElementTree.fromstring(archive.read(name))  # noqa: S314


def _tag(name: str) -> str:
    return f"{{http://schemas.openxmlformats.org/spreadsheetml/2006/main}}{name}"


def _cells(row: ElementTree.Element, strings: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(_tag("c")):
        match = _COLUMN.match(cell.get("r", ""))
        column = _number(match.group()) if match else len(cells)
        cells += [""] * (column + 1 - len(cells))
        cells[column] = _value(cell, strings)
    return cells


def _number(letters: str) -> int:
    """Return 0 for A, 25 for Z, 26 for AA; a sheet has at most 16,384 columns."""
    number = 0
    for letter in letters[:3]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return min(number, 16_384) - 1


def _value(cell: ElementTree.Element, strings: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return _text(cell)
    text = cell.findtext(_tag("v"), "")
    return strings[int(text)] if cell.get("t") == "s" else text


def _text(item: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in item.iter(_tag("t")))
