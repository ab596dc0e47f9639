"""Tables as LaTeX for booktabs: compile with \\input as they are, split where the text block or the page ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from medvlm_tui.core.safe_text import slug
from medvlm_tui.report.formats.latex_text import escape
from medvlm_tui.report.formats.table import (
    TIED,
    TOO_FEW,
    Aside,
    Column,
    Heading,
    Mark,
    Printed,
    Row,
    Table,
    Value,
    text_of,
)

EMPTY = "% No cell has a result yet.\n"
# The text block of article at 10pt, and the mean width of a letter in its \footnotesize; wrapped lines break earlier.
_TEXT_WIDTH_PT = 345.0
LETTER_PT = 4.25
_WRAPPED_LETTER_PT = 4.4
# Lines of a part: a page of article at 10pt holds about 55 of \footnotesize beside caption, headings and notes.
_LINES = 40
_MARKS: dict[Mark, str] = {"": "", "dagger": r"$^{\dagger}$", "star": r"$^{\star}$"}
_ABSENT = "--"
_NOTES = r"\par\smallskip\begin{minipage}{\linewidth}\raggedright\scriptsize %s\end{minipage}"
Lines = list[Row | Heading]


def render(tables: Sequence[Table]) -> str:
    """Return all tables as `table` environments; needs \\usepackage{booktabs} and nothing else."""
    return "\n".join(text for table in tables for text in _table(table)) or EMPTY


def _table(table: Table) -> Iterator[str]:
    """Yield one `table` environment or several: columns that do not fit the width go into their companion tables."""
    rows = list(table.rows)
    everything = list(range(len(table.columns)))
    if len(_across(table, rows, everything)) == 1:
        yield from _numbered(table, rows, everything, table.title, table.name)
        return
    kept = [index for index in everything if table.columns[index].aside is None]
    yield from _numbered(table, rows, kept, table.title, table.name)
    for aside in dict.fromkeys(column.aside for column in table.columns if column.aside is not None):
        yield from _numbered(table, rows, _with_aside(table, aside), aside.title, f"{table.name}-{aside.suffix}")


def _with_aside(table: Table, aside: Aside) -> list[int]:
    return [i for i, column in enumerate(table.columns) if not column.group or column.aside == aside]


def _numbered(table: Table, rows: Lines, chosen: Sequence[int], title: str, name: str) -> Iterator[str]:
    parts = [(across, down) for across in _across(table, rows, chosen) for down in _down(table, rows, across)]
    for number, (across, down) in enumerate(parts, start=1):
        part = f", part {number} of {len(parts)}" if len(parts) > 1 else ""
        label = f"tab:medvlm-{slug(name)}" + (f"-{number}" if len(parts) > 1 else "")
        yield _part(table, down, across, f"{escape(title)}{part}", label)


def _across(table: Table, rows: Lines, chosen: Sequence[int]) -> list[list[int]]:
    """Return the columns in parts that fit the text block, a group whole, the columns that name the rows in each."""
    stub = [index for index in chosen if not table.columns[index].group]
    room = _TEXT_WIDTH_PT - sum(_stub_pt(rows, index) for index in stub)
    parts: list[list[int]] = []
    used = 0.0
    for group, found in groupby((i for i in chosen if table.columns[i].group), key=lambda i: table.columns[i].group):
        block = list(found)
        width = max(sum(table.columns[index].width_pt for index in block), LETTER_PT * len(group) + 4.0)
        if not parts or used + width > room:
            parts.append(list(stub))
            used = 0.0
        parts[-1] += block
        used += width
    return parts or [stub]


def _stub_pt(rows: Lines, index: int) -> float:
    names = [text_of(row[index]) for row in rows if not isinstance(row, Heading)]
    return LETTER_PT * max(map(len, names), default=0)


def _down(table: Table, rows: Lines, chosen: Sequence[int]) -> list[Lines]:
    """Return the rows in parts that fit a page each; a heading is repeated where its rows go on."""
    parts: list[Lines] = [[]]
    used, heading = 0, None
    for row in rows:
        if isinstance(row, Heading):
            heading = row
            continue
        height = _height(table, row, chosen)
        if used + height > _LINES and parts[-1]:
            parts.append([])
            used = 0
        if heading is not None and heading not in parts[-1]:
            parts[-1].append(heading)
        parts[-1].append(row)
        used += height
    return parts


def _height(table: Table, row: Row, chosen: Sequence[int]) -> int:
    lines = max(_lines(table.columns[index], row[index]) for index in chosen)
    return lines + any(_below(row[index]) for index in chosen)


def _lines(column: Column, value: Value) -> int:
    if column.alignment != "wrapped":
        return 1
    return 1 + len(text_of(value)) // max(1, int(column.width_pt / _WRAPPED_LETTER_PT))


def _part(table: Table, rows: Lines, chosen: Sequence[int], caption: str, label: str) -> str:
    columns = [table.columns[index] for index in chosen]
    notes = r"\\".join(escape(note) for note in table.notes)
    gap = 2 if any(column.group for column in columns) else 3
    return "\n".join([
        r"\begin{table}[htbp]",
        rf"\centering\footnotesize\setlength{{\tabcolsep}}{{{gap}pt}}",
        rf"\caption{{{caption}.}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{@{{}}{''.join(map(_align, columns))}@{{}}}}",
        r"\toprule",
        *_header(columns),
        *([] if rows and isinstance(rows[0], Heading) else [r"\midrule"]),
        *(line for row in rows for line in _body(columns, row, chosen)),
        r"\bottomrule",
        r"\end{tabular}",
        *([_NOTES % notes] if notes else []),
        r"\end{table}",
        "",
    ])  # fmt: skip


def _align(column: Column) -> str:
    if column.alignment == "wrapped":
        return f"p{{{column.width_pt:g}pt}}"
    return "r" if column.alignment == "right" else "l"


def _header(columns: Sequence[Column]) -> list[str]:
    titles = _row([escape((column.short if column.group else "") or column.heading) for column in columns])
    if not any(column.group for column in columns):
        return [titles]
    names, rules, at = [], [], 1
    for group, found in groupby(columns, key=lambda column: column.group):
        span = len(list(found))
        names += [rf"\multicolumn{{{span}}}{{c}}{{{escape(group)}}}"] if group else [""] * span
        rules += [rf"\cmidrule(lr){{{at}-{at + span - 1}}}"] if group else []
        at += span
    return [_row(names), "".join(rules), titles]


def _body(columns: Sequence[Column], row: Row | Heading, chosen: Sequence[int]) -> list[str]:
    if isinstance(row, Heading):
        # \rlap: a long heading must not widen the columns it spans.
        title = rf"\rlap{{\textit{{{escape(row.title)}}}}}"
        return [r"\midrule", rf"\multicolumn{{{len(columns)}}}{{@{{}}l@{{}}}}{{{title}}} \\"]
    below = [_below(row[index]) for index in chosen]
    cells = [_cell(row[index], column) for index, column in zip(chosen, columns, strict=True)]
    return [_row(cells), *([_row(below)] if any(below) else [])]


def _cell(value: Value, column: Column) -> str:
    text = text_of(value)
    if not text:
        return rf"\raggedright {_ABSENT}" if column.alignment == "wrapped" else _ABSENT
    if not isinstance(value, Printed):
        # \raggedright redefines \\ and is therefore kept from the last column by the tables themselves.
        return rf"\raggedright {escape(text)}" if column.alignment == "wrapped" else escape(text)
    shown = escape(text) + (rf"\,{escape(value.unit)}" if value.unit else "")
    shown = rf"\textbf{{{shown}}}" if value.best else shown
    raised = f"$^{{{value.raised}}}$" if value.raised else ""
    return shown + (f"$^{{{TIED}}}$" if value.tied else "") + _MARKS[value.mark] + raised


def _below(value: Value) -> str:
    """Return what stands in a second line under a value: its interval, that images are too few, the precision."""
    if not isinstance(value, Printed):
        return ""
    parts = (escape(value.interval), TOO_FEW if value.too_few else "", escape(value.precision))
    text = " ".join(filter(None, parts))
    return rf"{{\scriptsize {text}}}" if text else ""


def _row(fields: Sequence[str]) -> str:
    return " & ".join(fields) + r" \\"
