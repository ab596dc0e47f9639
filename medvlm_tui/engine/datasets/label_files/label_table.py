"""Reading label files with named columns: CSV in UTF-8, Parquet, or the first sheet of a workbook."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import DatasetError

Row = tuple[int, Mapping[str, str]]
"""Line number (of a Parquet file: row number from 1) and column -> stripped text."""


@dataclass(frozen=True, slots=True)
class LabelTable:
    """A label file."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(dataset: str, path: Path, required: Iterable[str]) -> tuple[Row, ...]:
    """Return the rows of a file that has the `required` columns; a cell that is not there is empty.

    Raises DatasetError when the file cannot be read or lacks a column.
    """
    table = open_table(dataset, path)
    if absent := [name for name in required if name not in table.columns]:
        raise DatasetError(
            f"{clean(path.name)} has no column {' and no column '.join(absent)}; "
            f"it has: {clean(', '.join(table.columns))}",
            f"the first line names the columns, {','.join(required)} among them",
        )
    return table.rows


def open_table(dataset: str, path: Path) -> LabelTable:
    """Return columns and rows of a .parquet, .xlsx or CSV file (a byte-order mark is allowed); raises DatasetError."""
    if path.suffix.lower() == ".parquet":
        return _parquet(dataset, path)
    if path.suffix.lower() == ".xlsx":
        return _sheet(dataset, path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            table.fieldnames = [name.strip() for name in table.fieldnames or ()]
            names = tuple(table.fieldnames)
            return LabelTable(names, tuple((table.line_num, _row(names, cells)) for cells in table))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"{dataset}: {clean(str(path))} cannot be read: {clean(str(error))}"
        raise DatasetError(message, "save it as CSV in UTF-8") from error


def _row(names: Iterable[str], cells: Mapping[str, object]) -> Mapping[str, str]:
    return {name: "" if cells.get(name) is None else str(cells[name]).strip() for name in names}


def _sheet(dataset: str, path: Path) -> LabelTable:
    from medvlm_tui.engine.datasets.label_files.spreadsheet import read_rows

    try:
        head, *rows = read_rows(path) or [[]]
    except (OSError, ValueError) as error:
        message = f"{dataset}: {clean(str(path))} cannot be read: {clean(str(error))}"
        raise DatasetError(message, "save it as CSV, or download it again") from error
    names = tuple(name.strip() for name in head)
    cells = [dict(zip(names, row, strict=False)) for row in rows]
    return LabelTable(names, tuple((line, _row(names, row)) for line, row in enumerate(cells, start=2)))


def _parquet(dataset: str, path: Path) -> LabelTable:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DatasetError(
            f"{dataset}: reading {clean(path.name)} needs pyarrow", "pip install pyarrow, or save the list as CSV"
        ) from error
    try:
        cells = parquet.ParquetFile(path).read().to_pylist()
        names = tuple(parquet.read_schema(path).names)
    except (OSError, pyarrow.ArrowException) as error:
        message = f"{dataset}: {clean(str(path))} cannot be read: {clean(str(error))}"
        raise DatasetError(message, "write it again, or save the list as CSV") from error
    return LabelTable(names, tuple((i, _row(names, row)) for i, row in enumerate(cells, start=1)))
