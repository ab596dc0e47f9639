"""Reading label files: CSV in UTF-8 with named columns, as published or as people save them again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from medvlm_tui.core.text import clean
from medvlm_tui.errors import DatasetError


def read_table(dataset: str, path: Path, required: Iterable[str]) -> list[tuple[int, Mapping[str, str]]]:
    """Return (line number, column -> stripped text) of each row; a cell that is not there is empty.

    A byte-order mark is passed over. Raises DatasetError when the file cannot be read as CSV in UTF-8 or lacks a
    `required` column.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            names = [name.strip() for name in table.fieldnames or ()]
            _check_columns(path, names, list(required))
            table.fieldnames = names
            return [(table.line_num, _row(names, cells)) for cells in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"{dataset}: {clean(str(path))} cannot be read: {error}"
        raise DatasetError(message, "save it as CSV in UTF-8") from error


def _row(names: list[str], cells: Mapping[str, str | None]) -> Mapping[str, str]:
    return {name: (cells.get(name) or "").strip() for name in names}


def _check_columns(path: Path, names: list[str], required: list[str]) -> None:
    if absent := [name for name in required if name not in names]:
        raise DatasetError(
            f"{clean(path.name)} has no column {' and no column '.join(absent)}; it has: {clean(', '.join(names))}",
            f"the first line names the columns, {','.join(required)} among them",
        )
