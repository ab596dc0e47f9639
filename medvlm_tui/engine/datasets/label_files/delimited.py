"""Rows of a text that is divided by commas, semicolons, tabs or bars, as spreadsheets and scripts write it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from medvlm_tui.core.safe_text import clean

_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SEP_LINE = re.compile(r'"?sep=(?P<separator>[^\w\s]|\t)"?', re.IGNORECASE)
MAX_ROWS = 1_000_000
"""Of a list in any format. They take a few hundred megabytes; no collection of medical images has as many."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row with something in it."""

    line: int
    """Of the text, where the row ends."""
    cells: tuple[str, ...]
    """One for each name of the head, without blanks around it; a cell that is not there is empty."""


@dataclass(frozen=True, slots=True)
class Delimited:
    """A text with a head."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    comments: int = 0
    """Lines before the head that begin with #."""


def read_delimited(text: str, known: Callable[[Sequence[str]], int]) -> Delimited:
    """Return head and rows; rows without anything in them are left out.

    The separator is what a line `sep=;` says, else the one under which most names of the head are known to `known`,
    which counts them, and under which there are most names. Raises ValueError, with the line, for a row that has cells
    beyond the head, for a quote that is not closed and for more than `MAX_ROWS` rows.
    """
    first, _, rest = text.partition("\n")
    said = _SEP_LINE.fullmatch(first.strip("\r "))
    body, comments = _without_comments(rest if said else text, known)
    skipped = comments + bool(said)
    separator = said["separator"] if said else _best_separator(body, known)
    records = _records(body, separator, skipped)
    head = next(records, None)
    if head is None:
        return Delimited((), (), comments)
    names = tuple(cell.strip() for cell in head.cells)
    while names and not names[-1]:
        names = names[:-1]
    return Delimited(names, tuple(_fitted(record, names, separator) for record in records), comments)


def _without_comments(text: str, known: Callable[[Sequence[str]], int]) -> tuple[str, int]:
    """Return the text from its head on, and how many lines before it begin with #.

    The last of them is the head itself where it names more columns than the line after it (numpy.savetxt writes so).
    """
    lines, place = [], 0
    while text.startswith("#", place) and (end := text.find("\n", place)) >= 0:
        lines.append(text[place:end].strip("# \t\r"))
        place = end + 1
    if not lines:
        return text, 0
    head, after = (max(known(_first(each, s)) for s in _SEPARATORS) for each in (lines[-1], text[place:]))
    return (f"{lines[-1]}\n{text[place:]}", len(lines) - 1) if head > after else (text[place:], len(lines))


def _best_separator(text: str, known: Callable[[Sequence[str]], int]) -> str:
    heads = {separator: _first(text, separator) for separator in _SEPARATORS}
    return max(_SEPARATORS, key=lambda each: (known(heads[each]), len(heads[each]), -_SEPARATORS.index(each)))


def _first(text: str, separator: str) -> tuple[str, ...]:
    """Return the head under a separator; nothing where it cannot be read so."""
    try:
        return next((record.cells for record in _records(text, separator, 0)), ())
    except ValueError:
        return ()


def _records(text: str, separator: str, skipped: int) -> Iterator[Row]:
    """Yield the rows that have something in them as they are, the head first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    rows = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows += 1
                if rows > MAX_ROWS:
                    raise ValueError(f"it has more than {MAX_ROWS:,} rows")
                yield Row(reader.line_num + skipped, tuple(cell.strip() for cell in cells))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num + skipped}: {_reason(error)}") from error


def _reason(error: csv.Error) -> str:
    if "unexpected end" in str(error) or "expected after" in str(error):
        return "a double quote is not closed, or stands inside a quoted cell: write it twice there"
    return clean(str(error))


def _fitted(record: Row, names: Sequence[str], separator: str) -> Row:
    """Return a row with as many cells as the head has names; what spreadsheets add beyond it is empty."""
    cells = record.cells
    if any(cells[len(names) :]):
        written = max(i for i, cell in enumerate(cells, start=1) if cell)
        mark = _NAMES.get(separator, clean(separator))
        raise ValueError(
            f"line {record.line} has {written} cells, the head names {len(names)}: "
            f"put a cell that holds a {mark} in double quotes"
        )
    return Row(record.line, (*cells[: len(names)], *[""] * (len(names) - len(cells))))
