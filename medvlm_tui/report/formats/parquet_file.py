"""A table as Parquet, with typed columns; written where pyarrow is installed (the extra `parquet`)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.formats.table import Printed, Table, Value

Type = Literal["string", "double", "int64", "bool"]
WITHOUT = "pyarrow is not installed: pip install 'medvlm-tui[parquet]'; the CSV file of the same name has the same rows"


def can_write() -> bool:
    """Return whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def write_parquet(path: Path, table: Table, types: Mapping[str, Type]) -> None:
    """Write a table atomically. A column that `types` does not name is a string or a double, by its kind.

    None and NaN are null. Texts are as in the program, without the sign that keeps a spreadsheet from running them;
    control characters are written out. Raises ImportError without pyarrow, ValueError for a value of another type.
    """
    import pyarrow
    from pyarrow import parquet

    kinds: dict[str, Type] = {
        column.name: types.get(column.name, "double" if column.kind == "number" else "string")
        for column in table.columns
    }
    schema = pyarrow.schema([(name, getattr(pyarrow, _FACTORIES[kind])()) for name, kind in kinds.items()])
    rows = [_row(row, kinds) for row in table.values]
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file)
    write_export(path, file.getvalue())


_FACTORIES: Mapping[Type, str] = {"string": "string", "double": "float64", "int64": "int64", "bool": "bool_"}
_PYTHON: Mapping[Type, type] = {"string": str, "double": float, "int64": int, "bool": bool}


def _row(values: Sequence[Value], kinds: Mapping[str, Type]) -> dict[str, Any]:
    return {name: _cell(name, value, kind) for (name, kind), value in zip(kinds.items(), values, strict=True)}


def _cell(name: str, value: Value, kind: Type) -> str | float | None:
    """Return a value as its column's type; raises ValueError where that would change it."""
    if isinstance(value, Printed):
        value = value.value
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:
        return None
    if isinstance(value, bool) != (kind == "bool") or isinstance(value, str) != (kind == "string"):
        raise ValueError(f"column {name} is of {kind}, and {value!r} is not")
    made = _PYTHON[kind](value)
    if made != value:
        raise ValueError(f"column {name} is of {kind}, and {value!r} is not")
    return clean(made) if isinstance(made, str) else made
