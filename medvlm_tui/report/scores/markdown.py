"""Score tables as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.scores.table_notes import RAISED, SIGNS
from medvlm_tui.report.scores.table_records import Column, Entry, Score, ScoreTable

_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~])")
_MARKS = {"": "", "dagger": "†", "star": "★"}
_ABSENT = "–"


def escape(text: str) -> str:
    """Return outside text as Markdown shows it, nothing in it acting as markup or HTML."""
    return _ACTIVE.sub(r"\\\1", clean(text).replace("&", "&amp;"))


def render(tables: Sequence[ScoreTable]) -> str:
    """Return a Markdown document of all tables."""
    if not tables:
        return "No cell has a result yet.\n"
    return "\n".join(_table(table) for table in tables)


def _table(table: ScoreTable) -> str:
    header = ["Model", *(title for column in table.columns for title in _titles(column))]
    lines = [f"## Accuracy and F1, protocol {escape(table.protocol)}", "", row(header), _rule(len(header))]
    for group in table.groups:
        lines.append(row([f"*{escape(group.title)}*", *[""] * (len(header) - 1)]))
        for model, title in group.models:
            fields = [field for column in table.columns for field in _fields(column, column.entries.get(model))]
            lines.append(row([escape(title), *fields]))
    return "\n".join([*lines, "", *(f"- {escape(note)}" for note in table.notes), ""])


def _titles(column: Column) -> list[str]:
    name = escape(column.title)
    titles = [f"{name} accuracy", f"{name} {escape(column.f1_title)}", f"{name} balanced accuracy"]
    return [*titles, *(f"{name} {SIGNS[source]}" for source in column.sources)]


def _fields(column: Column, entry: Entry | None) -> list[str]:
    if entry is None:
        return [_ABSENT] * (3 + len(column.sources))
    balanced = f"{entry.balanced} %" if entry.balanced else _ABSENT
    fields = [_score(entry.accuracy, entry), _score(entry.f1, entry), balanced]
    return [*fields, *(_difference(entry, source) for source in column.sources)]


def _difference(entry: Entry, source: str) -> str:
    text = entry.differences.get(source, "")
    return text + "".join(RAISED[letter] for letter in entry.marks[source]) if text else _ABSENT


def _score(score: Score | None, entry: Entry) -> str:
    if score is None:
        return _ABSENT
    text = f"{score.mean} ± {score.std} %"
    sign = "=" if score.tied else " too few" if score.too_few else ""
    shown = (f"**{text}**" if score.best else text) + sign + _MARKS[entry.mark]
    return " ".join(filter(None, [shown, escape(entry.precision), escape(score.interval)]))


def row(fields: Sequence[str]) -> str:
    """Return one line of a table; the fields are escaped already."""
    return f"| {' | '.join(fields)} |"


def _rule(columns: int) -> str:
    return row(["---", *["---:"] * (columns - 1)])
