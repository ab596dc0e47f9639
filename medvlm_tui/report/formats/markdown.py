"""Tables as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.formats.table import (
    RAISED,
    SIGNS,
    TIED,
    TOO_FEW,
    Column,
    Heading,
    Printed,
    Row,
    Table,
    Value,
    text_of,
)

EMPTY = "No cell has a result yet.\n"
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~])")
_ABSENT = "–"


def escape(text: str) -> str:
    """Return outside text as Markdown shows it, nothing in it acting as markup or HTML."""
    return _ACTIVE.sub(r"\\\1", clean(text).replace("&", "&amp;"))


def render(tables: Sequence[Table]) -> str:
    """Return a Markdown document of all tables."""
    return "\n".join(map(_table, tables)) or EMPTY


def _table(table: Table) -> str:
    rule = ["---:" if column.alignment == "right" else "---" for column in table.columns]
    lines = [f"## {escape(table.title)}", "", _line([_title(column) for column in table.columns]), _line(rule)]
    lines += [_row(row, len(table.columns)) for row in table.rows]
    return "\n".join([*lines, "", *(f"- {escape(note)}" for note in table.notes), ""])


def _title(column: Column) -> str:
    return escape(f"{column.group} {column.heading}" if column.group else column.heading)


def _row(row: Row | Heading, columns: int) -> str:
    if isinstance(row, Heading):
        return _line([f"*{escape(row.title)}*", *[""] * (columns - 1)])
    return _line([_cell(value) for value in row])


def _cell(value: Value) -> str:
    text = escape(text_of(value))
    if not text:
        return _ABSENT
    if not isinstance(value, Printed):
        return text
    text += f" {value.unit}" if value.unit else ""
    sign = TIED if value.tied else f" {TOO_FEW}" if value.too_few else ""
    raised = "".join(RAISED[letter] for letter in value.raised)
    shown = (f"**{text}**" if value.best else text) + sign + SIGNS[value.mark] + raised
    return " ".join(filter(None, [shown, escape(value.precision), escape(value.interval)]))


def _line(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"
