"""Plain tables: Tables 1 and 2 out of the catalog, and what stands beside the scores, as LaTeX and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medvlm_tui.core.safe_text import slug
from medvlm_tui.report.formats import latex_text
from medvlm_tui.report.scores import markdown

# Lines of a part: a page of article at 10pt holds about 55 of \footnotesize beside caption and notes.
_LINES = 40
_LETTER_PT = 4.4
_NOTES = r"\par\smallskip\begin{minipage}{\linewidth}\raggedright\scriptsize %s\end{minipage}"


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a sheet."""

    title: str
    align: str = "l"
    """l, r, or w for long text that is wrapped at `width_pt`."""
    width_pt: int = 0

    @property
    def letters(self) -> int:
        """How many letters a wrapped line holds."""
        return max(1, int(self.width_pt / _LETTER_PT))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of text; all of it is escaped when it is written."""

    name: str
    title: str
    fields: tuple[Field, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def to_latex(sheets: Sequence[Sheet]) -> str:
    """Return the sheets as `table` environments; needs \\usepackage{booktabs} and nothing else."""
    return "\n".join(_part(sheet, rows, n, of) for sheet in sheets for n, of, rows in _parts(sheet))


def to_markdown(sheets: Sequence[Sheet]) -> str:
    """Return the sheets as a Markdown document."""
    return "\n".join(_markdown(sheet) for sheet in sheets)


def _parts(sheet: Sheet) -> list[tuple[int, int, list[tuple[str, ...]]]]:
    """Return (number, of, rows) of the parts that fit a page each."""
    parts: list[list[tuple[str, ...]]] = [[]]
    used = 0
    for row in sheet.rows:
        height = max(_height(text, field) for text, field in zip(row, sheet.fields, strict=True))
        if used + height > _LINES and parts[-1]:
            parts.append([])
            used = 0
        parts[-1].append(row)
        used += height
    return [(number, len(parts), rows) for number, rows in enumerate(parts, start=1)]


def _height(text: str, field: Field) -> int:
    return 1 if field.align != "w" else 1 + len(text) // field.letters


def _part(sheet: Sheet, rows: Sequence[tuple[str, ...]], number: int, of: int) -> str:
    columns = "".join(f"p{{{field.width_pt}pt}}" if field.align == "w" else field.align for field in sheet.fields)
    part = f", part {number} of {of}" if of > 1 else ""
    label = f"tab:medvlm-{slug(sheet.name)}" + (f"-{number}" if of > 1 else "")
    notes = r"\\".join(latex_text.escape(note) for note in sheet.notes)
    return "\n".join([
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{latex_text.escape(sheet.title)}{part}.}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        _row([latex_text.escape(field.title) for field in sheet.fields]),
        r"\midrule",
        *(_row([_cell(text, field) for text, field in zip(row, sheet.fields, strict=True)]) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *([_NOTES % notes] if notes else []),
        r"\end{table}",
        "",
    ])  # fmt: skip


def _cell(text: str, field: Field) -> str:
    escaped = latex_text.escape(text) if text else "--"
    # \raggedright redefines \\ and is therefore kept from the last column by the sheets themselves.
    return rf"\raggedright {escaped}" if field.align == "w" else escaped


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _markdown(sheet: Sheet) -> str:
    rule = ["---:" if field.align == "r" else "---" for field in sheet.fields]
    lines = [f"## {markdown.escape(sheet.title)}", "", markdown.row([markdown.escape(f.title) for f in sheet.fields])]
    lines += [markdown.row(rule), *(markdown.row([markdown.escape(text) or "–" for text in row]) for row in sheet.rows)]
    return "\n".join([*lines, "", *(f"- {markdown.escape(note)}" for note in sheet.notes), ""])
