"""The text of a list, whatever program and system saved it."""

from __future__ import annotations

import codecs
from pathlib import Path

MAX_BYTES = 256 << 20
"""Of a list; a million lines have some 60 MB."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PROBED = 4096
_OTHER_FILES = (
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"\xd0\xcf\x11\xe0", "a workbook of Excel 97: save it as .xlsx or as CSV"),
    (b"%PDF", "a PDF: a list is text"),
    (b"\x89PNG", "an image: a list is text"),
    (b"\xff\xd8\xff", "an image: a list is text"),
    (b"SQLite format 3", "a database: export the table as CSV"),
)
_WEB_PAGES = (b"<!doctype html", b"<html")


def read_text(path: Path) -> tuple[str, str]:
    """Return the text of a file, and a note where its encoding had to be guessed.

    UTF-8, UTF-16 and UTF-32 are known by their mark or their bytes; what is none of them is read as Windows-1252, or as
    Shift JIS where its bytes are those of Japanese. Raises OSError, or ValueError with the reason for a file that is
    no text.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MiB, which no list of images needs")
    data = path.read_bytes()
    _refuse_other_files(data)
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "") or _by_zeros(data)
    if encoding:
        return data.decode(encoding), ""
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        encoding, name = _legacy(data)
        note = f"{path.name} is not in UTF-8 and was read as {name}: save it as UTF-8 if names look wrong"
        return data.decode(encoding, errors="surrogateescape"), note  # two labels never become one


def _refuse_other_files(data: bytes) -> None:
    for mark, what in _OTHER_FILES:
        if data.startswith(mark):
            raise ValueError(f"it is {what}")
    if data[:64].lstrip().lower().startswith(_WEB_PAGES):
        raise ValueError("it is a web page, not the file that the page offers: download the file itself")


def _by_zeros(data: bytes) -> str:
    """Return the UTF-16 of a file without a mark: every second byte of ASCII text is zero then."""
    begin = data[: _PROBED - len(data) % 2]
    if len(data) % 2 or not begin:
        return ""
    even, odd = begin[::2].count(0), begin[1::2].count(0)
    if max(even, odd) <= len(begin) // 4:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _legacy(data: bytes) -> tuple[str, str]:
    """Return codec and name of an older encoding. Bytes of 0x81 to 0x9f begin most letters of Shift JIS and are rare
    punctuation in Windows-1252."""
    try:
        japanese = data.decode("cp932")
    except UnicodeDecodeError:
        return "cp1252", "Windows-1252 (Western)"
    leading = sum(0x81 <= byte <= 0x9F for byte in data)
    high = sum(byte >= 0x80 for byte in data)
    kana = sum("\u3040" <= letter <= "\u30ff" for letter in japanese)
    if leading * 4 >= high or kana * 4 >= high:
        return "cp932", "Shift JIS (Japanese)"
    return "cp1252", "Windows-1252 (Western)"
