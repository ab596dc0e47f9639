"""Lists in Parquet: read column by column, as much as their foot says, and no more than a list needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medvlm_tui.engine.datasets.label_files.delimited import MAX_ROWS

if TYPE_CHECKING:
    import pyarrow

MAX_BYTES = 256 << 20
"""Unpacked, of the columns that are read."""
_ROWS_AT_ONCE = 65_536
IMAGE_FIELDS = frozenset({"bytes", "path"})
"""Of the struct in which the hub's datasets keep an image."""


@dataclass(frozen=True, slots=True)
class ParquetList:
    """A Parquet file whose cells are texts, numbers or truth values."""

    head: tuple[str, ...]
    images: tuple[str, ...]
    """Columns that hold the bytes of images instead of their paths."""
    nested: tuple[str, ...]
    """Columns of lists and structs, which are no cells."""
    rows: Callable[[Sequence[str]], Iterator[dict[str, str]]]
    """Columns to read -> their cells as text, row by row; raises what `open_parquet` raises."""
    count: int = 0
    """Rows, as the foot says."""
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column -> names of the classes that its numbers stand for, where the hub's datasets wrote them."""


def open_parquet(path: Path) -> ParquetList:
    """Return a Parquet file, no row of it read.

    Raises ImportError without pyarrow, OSError or pyarrow.ArrowException for a file that is none, and ValueError
    for one with more than `MAX_ROWS` rows or, unpacked, more than `MAX_BYTES` in the columns asked for.
    """
    from pyarrow import parquet, types

    with parquet.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    if rows > MAX_ROWS:
        raise ValueError(f"it has {rows:,} rows, more than the {MAX_ROWS:,} that a list may have")
    images = tuple(field.name for field in schema if _holds_images(field.type, types))
    nested = tuple(field.name for field in schema if types.is_nested(field.type) and field.name not in images)
    names = _class_names(schema.metadata or {})
    return ParquetList(tuple(schema.names), images, nested, lambda wanted: _rows(path, wanted), rows, names)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Return the names that `ClassLabel` columns of the hub's datasets have; nothing where the record is none."""
    try:
        columns = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        listed = {name: each["names"] for name, each in columns.items() if each.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {
        name: tuple(names)
        for name, names in listed.items()
        if isinstance(names, list) and all(isinstance(each, str) and each for each in names)
    }


def read_all(path: Path) -> None:
    """Read every column of cells once and keep nothing; raises what `open_parquet` raises."""
    table = open_parquet(path)
    for name in table.head:
        if name not in (*table.images, *table.nested):
            for _ in table.rows([name]):
                pass


def _holds_images(kind: pyarrow.DataType, types: Any) -> bool:
    if types.is_struct(kind):
        return "bytes" in {field.name for field in kind} <= IMAGE_FIELDS
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _rows(path: Path, wanted: Sequence[str]) -> Iterator[dict[str, str]]:
    from pyarrow import parquet

    # Equal texts stay one object in a dictionary, however many rows repeat them.
    with parquet.ParquetFile(path, read_dictionary=list(wanted)) as file:
        _refuse_size(file.metadata, wanted)
        rows = 0
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(wanted), use_threads=False):
            rows += batch.num_rows
            if rows > MAX_ROWS:
                raise ValueError(f"it has more rows than its foot says, and more than {MAX_ROWS:,}")
            columns = [_texts(batch.column(name)) for name in wanted]
            for cells in zip(*columns, strict=True):
                yield dict(zip(wanted, cells, strict=True))


def _refuse_size(metadata: Any, wanted: Sequence[str]) -> None:
    sizes = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        columns = (row_group.column(i) for i in range(row_group.num_columns))
        sizes += sum(max(0, c.total_uncompressed_size) for c in columns if c.path_in_schema.split(".")[0] in wanted)
    if sizes > MAX_BYTES:
        raise ValueError(
            f"its columns unpack to {sizes >> 20:,} MiB, more than the {MAX_BYTES >> 20} that a list needs"
        )


def _texts(column: pyarrow.Array) -> list[str]:
    import pyarrow

    if isinstance(column, pyarrow.DictionaryArray):
        used = column.indices.drop_null().unique()
        values = map(_text, column.dictionary.take(used).to_pylist())
        by_index = dict(zip(used.to_pylist(), values, strict=True))
        return ["" if index is None else by_index[index] for index in column.indices.to_pylist()]
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
