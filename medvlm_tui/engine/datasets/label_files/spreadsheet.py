"""The first sheet of an .xlsx file as rows of text: all that a label file needs, without another dependency."""

from __future__ import annotations

import lzma
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

_MAX_BYTES = 64 << 20
_MAX_HELD = 1_000_000
"""Elements of XML in memory; a row of all columns has some 50,000."""
_MAX_CELLS = 8_000_000
_MAX_COLUMNS = 16_384
_COLUMN = re.compile(r"[A-Z]+")
_SHEETS = re.compile(r"xl/worksheets/sheet(\d+)\.xml")
_STRINGS = "xl/sharedStrings.xml"
# What zipfile, zlib, lzma and expat raise at damaged bytes; RuntimeError is a member that asks for a password.
_NO_WORKBOOK = (
    BadZipFile, KeyError, IndexError, ElementTree.ParseError, NotImplementedError, EOFError, MemoryError, RuntimeError,
    zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return row number and cells of each row of the first sheet that has something in it; absent cells are empty.

    Raises OSError or ValueError when the file is no workbook, or unpacks to more than 64 MiB or 8 million cells.
    """
    try:
        with ZipFile(path) as archive:
            strings = list(_strings(archive)) if _STRINGS in archive.namelist() else []
            return list(_rows(archive, _first_sheet(archive), strings))
    except _NO_WORKBOOK as error:
        raise ValueError(f"it is no workbook: {error or type(error).__name__}") from error


def _first_sheet(archive: ZipFile) -> str:
    numbers = sorted(int(match[1]) for name in archive.namelist() if (match := _SHEETS.fullmatch(name)))
    return f"xl/worksheets/sheet{numbers[0]}.xml"


def _elements(archive: ZipFile, name: str, tag: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of one tag, each forgotten before the next, so that a sheet is never in memory as a tree."""
    if archive.getinfo(name).file_size > _MAX_BYTES:
        raise ValueError(f"{name} unpacks to more than {_MAX_BYTES >> 20} MiB")
    with archive.open(name) as file:
        # expat (2.4.1 and newer) stops entity bombs itself, and ElementTree fetches nothing from outside.
        yield from _parsed(file, tag)


def _parsed(file: IO[bytes], tag: str) -> Iterator[ElementTree.Element]:
    parents: list[ElementTree.Element] = []
    held = 0
    for event, element in ElementTree.iterparse(file, ("start", "end")):  # noqa: S314
        if event == "start":
            parents.append(element)
            held += 1
            if held > _MAX_HELD:
                raise ValueError(f"{tag} in it holds more than {_MAX_HELD:,} elements")
            continue
        parents.pop()
        if parents and element.tag.rpartition("}")[2] == tag:
            yield element
            parents[-1].remove(element)
            held = len(parents)


def _within(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of a name in whichever namespace: there are two, of the usual and of the strict format."""
    return (each for each in element.iter() if each.tag.rpartition("}")[2] == name)


def _strings(archive: ZipFile) -> Iterator[str]:
    for item in _elements(archive, _STRINGS, "si"):
        yield _text(item)


def _rows(archive: ZipFile, sheet: str, strings: list[str]) -> Iterator[tuple[int, list[str]]]:
    cells = 0
    for position, row in enumerate(_elements(archive, sheet, "row"), start=1):
        texts = _cells(row, strings)
        cells += len(texts) + 1
        if cells > _MAX_CELLS:
            raise ValueError(f"its first sheet has more than {_MAX_CELLS:,} cells")
        if any(text.strip() for text in texts):
            number = row.get("r", "")
            yield int(number) if number.isdecimal() and len(number) < 9 else position, texts


def _cells(row: ElementTree.Element, strings: list[str]) -> list[str]:
    cells: list[str] = []
    column = -1
    for cell in _within(row, "c"):
        match = _COLUMN.match(cell.get("r", ""))
        column = _number(match.group()) if match else column + 1
        if (text := _value(cell, strings)) and column < _MAX_COLUMNS:
            cells += [""] * (column + 1 - len(cells))
            cells[column] = text
    return cells


def _number(letters: str) -> int:
    """Return 0 for A, 25 for Z, 26 for AA; a sheet has at most 16,384 columns."""
    number = 0
    for letter in letters[:3]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return min(number, _MAX_COLUMNS) - 1


def _value(cell: ElementTree.Element, strings: list[str]) -> str:
    kind = cell.get("t")
    if kind == "inlineStr":
        return _text(cell)
    text = cell.findtext("{*}v", "")
    if kind == "b":
        return {"1": "TRUE", "0": "FALSE"}.get(text, text)
    return strings[int(text)] if kind == "s" else text


def _text(item: ElementTree.Element) -> str:
    """Return the text of a cell; what a reader aid for Japanese adds above the letters is left out."""
    aids = {part for aid in _within(item, "rPh") for part in _within(aid, "t")}
    return "".join(part.text or "" for part in _within(item, "t") if part not in aids)
