"""A table as CSV: UTF-8, line feeds, full precision, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.formats.table import Printed, Table, Value

# Spreadsheets take a string that begins so as a formula, the full-width forms in East Asian versions too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0", "＝", "＋", "－", "＠")


def write_csv(path: Path, table: Table) -> None:
    """Write a table atomically: the file is the old one or the complete new one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([safe(column.name) for column in table.columns])
    writer.writerows([field(value) for value in row] for row in table.values)
    write_export(path, text.getvalue().encode("utf-8"))


def write_all(folder: Path, tables: Iterable[Table]) -> Iterator[Path]:
    """Write tables as NAME.csv below a folder; yields each file when it is complete."""
    for table in tables:
        path = folder / f"{table.name}.csv"
        write_csv(path, table)
        yield path


def field(value: Value) -> str:
    """Return a value as its cell: numbers as the shortest text that reads back the same, None and NaN empty."""
    if isinstance(value, Printed):
        value = value.value
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return ""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return ""
    return repr(value)


def safe(text: str) -> str:
    """Return outside text with a leading ' where a spreadsheet would take it as a formula, controls written out."""
    return clean("'" + text if text.startswith(_FORMULA_STARTS) else text)
