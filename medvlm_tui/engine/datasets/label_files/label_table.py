"""Label files with named columns: text with separators, Parquet, or the first sheet of a workbook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medvlm_tui.core.counts import counted
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.datasets.label_files.columns import count_known
from medvlm_tui.engine.datasets.label_files.delimited import read_delimited
from medvlm_tui.engine.datasets.label_files.text_file import read_text
from medvlm_tui.errors import DatasetError

Row = tuple[int, Mapping[str, str]]
"""Line number (of a Parquet file: row number from 1) and column -> text without blanks around it."""
Rows = Callable[[Sequence[str]], Iterator[Row]]


@dataclass(frozen=True, slots=True)
class LabelTable:
    """A label file."""

    columns: tuple[str, ...]
    rows: Rows
    """Columns that are needed -> the rows; those that are empty are left out."""
    notes: tuple[str, ...] = ()
    """Guesses that were needed to read it."""
    images: tuple[str, ...] = ()
    """Columns that hold images instead of their paths."""
    nested: tuple[str, ...] = ()
    """Columns whose cells are lists or records."""
    count: int = 0
    """Rows of a Parquet file."""
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column -> names of the classes that its numbers stand for, where the file says so."""


def read_table(dataset: str, path: Path, required: Iterable[str]) -> tuple[Row, ...]:
    """Return the rows of a file that has the `required` columns; a cell that is not there is empty.

    Raises DatasetError when the file cannot be read or lacks a column.
    """
    required = tuple(required)
    table = open_table(dataset, path, required)
    if absent := [name for name in required if name not in table.columns]:
        raise DatasetError(
            f"{clean(path.name)} has no column {' and no column '.join(absent)}; "
            f"it has: {clean(', '.join(table.columns))}",
            f"the first line names the columns, {','.join(required)} among them",
        )
    return tuple(table.rows(required))


def open_table(dataset: str, path: Path, required: Sequence[str] = ()) -> LabelTable:
    """Return a table whose format is known by its first bytes, then by its suffix.

    The head of a text decides its separator: the one under which most of the `required` names, else of the names known
    for lists of images, are there. Raises DatasetError for a file that cannot be read, and so do its rows.
    """
    try:
        with open(path, "rb") as file:
            mark = file.read(4)
        if mark == b"PAR1" or path.suffix.lower() == ".parquet":
            return _parquet(dataset, path)
        if mark == b"PK\x03\x04" or path.suffix.lower() == ".xlsx":
            return _sheet(path)
        return _text(path, required)
    except (OSError, ValueError) as error:
        raise _unreadable(dataset, path, error) from error


def _unreadable(dataset: str, path: Path, error: Exception) -> DatasetError:
    reason = clean((error.strerror or str(error)) if isinstance(error, OSError) else str(error))
    return DatasetError(
        f"{dataset}: {clean(str(path))} cannot be read: {reason}",
        "correct it there, or save the list again as CSV in UTF-8 with the columns path,label",
    )


def _text(path: Path, required: Sequence[str]) -> LabelTable:
    text, note = read_text(path)
    table = read_delimited(text, lambda head: sum(name in head for name in required) or count_known(head))
    names = table.head

    def rows(wanted: Sequence[str]) -> Iterator[Row]:
        positions = [(name, names.index(name)) for name in wanted if name in names]
        for row in table.rows:
            yield row.line, {name: row.cells[i] for name, i in positions}

    comments = f"{counted(table.comments, 'line')} before its head, beginning with #, passed over"
    return LabelTable(names, rows, tuple(filter(None, (note, comments if table.comments else ""))))


def _sheet(path: Path) -> LabelTable:
    from medvlm_tui.engine.datasets.label_files.spreadsheet import read_rows

    cells = iter(read_rows(path))
    names = tuple(name.strip() for name in next(cells, (1, []))[1])

    def rows(wanted: Sequence[str]) -> Iterator[Row]:
        positions = [(name, names.index(name)) for name in wanted if name in names]
        for line, row in cells:
            yield line, {name: row[i].strip() if i < len(row) else "" for name, i in positions}

    return LabelTable(names, rows)


def _parquet(dataset: str, path: Path) -> LabelTable:
    try:
        import pyarrow

        from medvlm_tui.engine.datasets.label_files.parquet_file import open_parquet
        from medvlm_tui.engine.datasets.label_files.parquet_trial import refuse_deadly
    except ImportError as error:
        raise DatasetError(
            f"{dataset}: reading {clean(path.name)} needs pyarrow", "pip install pyarrow, or save the list as CSV"
        ) from error
    try:
        refuse_deadly(path)
        table = open_parquet(path)
    except (ValueError, pyarrow.ArrowException) as error:
        raise _unreadable(dataset, path, error) from error

    def rows(wanted: Sequence[str]) -> Iterator[Row]:
        try:
            for number, cells in enumerate(table.rows(wanted), start=1):
                if any(cells.values()):
                    yield number, cells
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise _unreadable(dataset, path, error) from error

    return LabelTable(table.head, rows, (), table.images, table.nested, table.count, table.class_names)
