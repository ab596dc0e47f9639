"""The rows of a list of images: its columns found by their names, its cells made plain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from medvlm_tui.core.counts import counted, verb
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.datasets.folders.part_names import part_of
from medvlm_tui.engine.datasets.label_files import label_text
from medvlm_tui.engine.datasets.label_files.columns import (
    AmbiguousColumnsError,
    Columns,
    find_columns,
    looks_like_a_row,
)
from medvlm_tui.engine.datasets.label_files.label_table import LabelTable, Row, open_table
from medvlm_tui.engine.datasets.label_files.text_file import read_text
from medvlm_tui.errors import DatasetError, UsageError

_SURE_PARTS = frozenset({"split", "splits", "part", "subset", "partition", "data_split", "dataset_split"})
_FLAGS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
_MOST_FLAGS = 200
_ONE_HOT = ""
"""Stands for the column of the label, which is none of the head's."""
_HEAD_HINT = "the first line names the columns: path,label[,group,split,mask]"


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line of the list."""

    line: int
    """The first with these cells."""
    path: str
    label: str = ""
    group: str = ""
    split: str = ""
    mask: str = ""
    times: int = 1
    """Number of lines that have these cells."""

    def where(self, root: Path) -> str:
        """Return the line's place for messages."""
        return f"{clean(root.name)} line {self.line}"


@dataclass(frozen=True, slots=True)
class ListRows:
    """A list as read."""

    rows: Sequence[ListRow]
    label: str = ""
    """The column that is the label, "" when there is none."""
    head: tuple[str, ...] = ()
    """All columns; empty for a list of plain paths."""
    warnings: tuple[str, ...] = ()
    """Lines that are not read."""
    notes: tuple[str, ...] = ()
    """Guesses that were needed to read the list."""
    images: str = ""
    """The column of a Parquet file that holds the images themselves; `path` is then the number of the row."""


def read_rows(dataset: str, path: Path, label: str = "") -> ListRows:
    """Return the rows of a list that name an image; `label` names the column that is the label, "" finds it.

    Raises DatasetError for a list that cannot be read or has no column of paths, UsageError for a label column that it
    does not have.
    """
    if path.suffix.lower() == ".txt" and (plain := _plain_paths(dataset, path)) is not None:
        return plain
    table = open_table(dataset, path)
    columns = _columns(path, table, label)
    if image := _image_column(path, table, columns):
        return _with_images(path, table, columns, image)
    wanted = [table.columns[i] for i in columns.used]
    others = _other_columns(table, columns)
    rows = _different(table.rows([*wanted, *others]))
    flags = _one_hot(others, rows)
    rows = _with_one_label(rows, wanted, flags) if others else rows
    column = _ONE_HOT if flags else _label_column(path, table.columns, columns, rows)
    found = [_row(line, n, cells, table.columns, columns, column) for line, n, cells in rows]
    if not _are_parts(table.columns, columns, found):
        found = [replace(row, split="") for row in found]
    without = [row for row in found if not row.path]
    if without and len(without) == len(found):
        raise DatasetError(f"{without[0].where(path)}: no path", "every line needs one")
    warnings: tuple[str, ...] = ()
    if without:
        lines = sum(row.times for row in without)
        said = f"{counted(lines, 'line')} of the list without a path {verb(lines, 'was', 'were')} passed over"
        warnings = (f"{dataset}: {said}, the first is line {without[0].line}",)
    kept = tuple(row for row in found if row.path) if without else found
    notes = (*table.notes, f"the classes are its columns {clean(', '.join(flags))}, one of which is 1 on each line")
    return ListRows(kept, column, table.columns, warnings, notes if flags else table.notes)


def _other_columns(table: LabelTable, columns: Columns) -> list[str]:
    """Return the columns without a role, among which the classes may be, where no column is the label."""
    taken = {table.columns[i] for i in columns.used}.union(table.images, table.nested)
    others = [name for name in table.columns if name and name not in taken]
    usable = not columns.labels and 2 <= len(others) <= _MOST_FLAGS and len(set(others)) == len(others)
    return others if usable else []


def _one_hot(others: Sequence[str], rows: Sequence[tuple[int, int, Mapping[str, str]]]) -> list[str]:
    """Return the columns of zeros and ones of which exactly one is 1 on every line; none where there are not two."""
    flags = [name for name in others if all(cells[name].lower() in _FLAGS for _, _, cells in rows)]
    alone = all(sum(_FLAGS[cells[name].lower()] for name in flags) == 1 for _, _, cells in rows)
    return flags if rows and len(flags) >= 2 and alone else []


def _with_one_label(
    rows: Sequence[tuple[int, int, Mapping[str, str]]], wanted: Sequence[str], flags: Sequence[str]
) -> list[tuple[int, int, Mapping[str, str]]]:
    """Return the rows without the other columns, those that are then alike as one, with the label of `flags`."""
    found: dict[tuple[str, ...], tuple[int, int, Mapping[str, str]]] = {}
    for line, times, cells in rows:
        kept = {name: cells[name] for name in wanted}
        if flags:
            kept[_ONE_HOT] = next(name for name in flags if _FLAGS[cells[name].lower()])
        key = tuple(kept.values())
        first, before, _ = found.get(key, (line, 0, kept))
        found[key] = first, before + times, kept
    return list(found.values())


def _different(rows: Iterable[Row]) -> list[tuple[int, int, Mapping[str, str]]]:
    """Return (first line, how many lines, cells) of the rows that differ: a small file can repeat one endlessly."""
    lines: dict[tuple[str, ...], int] = {}
    times: Counter[tuple[str, ...]] = Counter()
    names: tuple[str, ...] = ()
    for line, cells in rows:
        names = names or tuple(cells)
        key = tuple(cells.values())
        lines.setdefault(key, line)
        times[key] += 1
    return [(line, times[key], dict(zip(names, key, strict=True))) for key, line in lines.items()]


def _plain_paths(dataset: str, path: Path) -> ListRows | None:
    """Return the lines of a text of paths; None when it has a head with columns."""
    try:
        text, note = read_text(path)
    except (OSError, ValueError) as error:
        message = f"{dataset}: {clean(str(path))} cannot be read: {clean(str(error))}"
        raise DatasetError(message, "save it as text in UTF-8, one path on each line") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if lines and not looks_like_a_row([lines[0][1]]):
        head = open_table(dataset, path).columns
        if len(head) > 1 and find_columns(head).path >= 0:
            return None
    return ListRows(tuple(ListRow(number, line) for number, line in lines), notes=(note,) if note else ())


def _columns(path: Path, table: LabelTable, label: str) -> Columns:
    try:
        columns = find_columns(table.columns, label)
    except KeyError as error:
        names = clean(", ".join(table.columns))
        raise UsageError(f"{clean(path.name)} has no column {clean(label)!r}", f"it has: {names}") from error
    except AmbiguousColumnsError as error:
        raise DatasetError(f"{clean(path.name)}: {clean(str(error))}", "give each column a name of its own") from error
    named = {table.columns[i] for i in columns.used}
    if columns.path < 0 and not table.images:
        raise _no_paths(path, table)
    if table.images:  # a mask may be an image as well
        named -= {table.columns[i] for i in (columns.path, columns.mask) if i >= 0}
    if odd := sorted(named.intersection((*table.nested, *table.images))):
        raise DatasetError(
            f"{clean(path.name)}: the cells of column {clean(odd[0])} are no single values",
            "write one value into each cell, or save the list as CSV",
        )
    return columns


def _no_paths(path: Path, table: LabelTable) -> DatasetError:
    name, columns = clean(path.name), clean(", ".join(table.columns))
    if looks_like_a_row(table.columns):
        return DatasetError(f"{name}: its first line names an image, not the columns: {columns}", _HEAD_HINT)
    return DatasetError(f"{name} has no column path; it has: {columns}", _HEAD_HINT)


def _image_column(path: Path, table: LabelTable, columns: Columns) -> str:
    """Return the column that holds the images; "" where the list names their paths."""
    if not table.images or (columns.path >= 0 and table.columns[columns.path] not in table.images):
        return ""
    if columns.path >= 0:
        return table.columns[columns.path]
    if len(table.images) > 1:
        names = clean(", ".join(table.images))
        raise DatasetError(f"{clean(path.name)}: several columns hold images: {names}", "call one of them image")
    return table.images[0]


def _with_images(path: Path, table: LabelTable, columns: Columns, image: str) -> ListRows:
    """Return the rows of a table that holds the images themselves, each by its number from 0."""
    plain = replace(columns, path=-1, mask=-1)
    names = [table.columns[i] for i in plain.used]
    blank: Mapping[str, str] = dict.fromkeys(names, "")
    cells = dict(table.rows(names)) if names else {}
    rows = [(line, 1, cells.get(line, blank)) for line in range(1, table.count + 1)]
    label = _label_column(path, table.columns, plain, rows)
    found = [replace(_row(*row, table.columns, plain, label), path=f"{row[0] - 1:06d}") for row in rows]
    if not _are_parts(table.columns, plain, found):
        found = [replace(row, split="") for row in found]
    notes = (*table.notes, f"its images are read from the column {clean(image)}")
    if known := table.class_names.get(label):
        found = [replace(row, label=_named_class(row.label, known)) for row in found]
        notes = (*notes, f"the file names the classes of its column {clean(label)}: {clean(', '.join(known))}")
    return ListRows(found, label, table.columns, (), notes, image)


def _named_class(number: str, names: Sequence[str]) -> str:
    """Return the name of a class; -1, which the hub writes for none, and numbers beyond the names are no label."""
    return names[int(number)] if number.isascii() and number.isdecimal() and int(number) < len(names) else ""


def _label_column(
    path: Path, head: Sequence[str], columns: Columns, rows: Sequence[tuple[int, int, Mapping[str, str]]]
) -> str:
    """Return the column that is the label. Several that may be it pass where they are one-to-one: name and number of
    the same classes."""
    names = [head[i] for i in columns.labels]
    for first, second in combinations(names, 2):
        pairs = {(cells[first], cells[second]) for _, _, cells in rows}
        if not len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
            raise DatasetError(
                f"{clean(path.name)}: several columns may be the label: {clean(', '.join(names))}",
                f"choose one: --label column:{clean(first)}",
            )
    return names[0] if names else ""


def _row(line: int, times: int, cells: Mapping[str, str], head: Sequence[str], columns: Columns, label: str) -> ListRow:
    def cell(position: int) -> str:
        return cells[head[position]] if position >= 0 else ""

    split = cell(columns.split)
    return ListRow(
        line=line,
        times=times,
        path=cell(columns.path),
        label=label_text.tidy(cells[label]) if label in cells else "",
        group=cell(columns.group),
        split=part_of(split) or split,
        mask=cell(columns.mask),
    )


def _are_parts(head: Sequence[str], columns: Columns, rows: Sequence[ListRow]) -> bool:
    """Return whether the column of parts is one: a column that is called `set` or `usage` may be anything else."""
    if columns.split < 0 or head[columns.split].strip().lower().replace(" ", "_") in _SURE_PARTS:
        return True
    return all(part_of(row.split) for row in rows if row.split)
