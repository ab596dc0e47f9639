"""Score tables as LaTeX for booktabs: compiles with \\input as it is, split where the text block ends."""

from __future__ import annotations

from collections.abc import Sequence

from medvlm_tui.core.text import slug
from medvlm_tui.report.latex_text import escape
from medvlm_tui.report.tables import Column, Entry, Score, ScoreTable

# article at 10pt sets 345 pt wide; \footnotesize (8 pt) Computer Modern measures 4.7 pt a letter at most on average.
_TEXT_WIDTH_PT = 345.0
_LETTER_PT = 4.3
_SCORE_PT = 52.0
_DIFFERENCE_PT = 36.0
_GAP_PT = 5.0
_MARKS = {"": "", "dagger": r"$^{\dagger}$", "star": r"$^{\star}$"}
_ABSENT = "--"


def render(tables: Sequence[ScoreTable]) -> str:
    """Return all tables as `table` environments; needs \\usepackage{booktabs} and nothing else."""
    if not tables:
        return "% No cell has a result yet.\n"
    return "\n".join(_table(table) for table in tables)


def _table(table: ScoreTable) -> str:
    parts = _parts(table)
    return "\n".join(_part(table, columns, number, len(parts)) for number, columns in enumerate(parts, start=1))


def _parts(table: ScoreTable) -> list[list[Column]]:
    """Return the columns in runs that fit the text block."""
    names = [title for group in table.groups for _, title in group.models]
    left = _TEXT_WIDTH_PT - _LETTER_PT * max(map(len, names)) - _GAP_PT
    parts: list[list[Column]] = []
    used = left
    for column in table.columns:
        width = _width_pt(column)
        if not parts or used + width > left:
            parts.append([])
            used = 0.0
        parts[-1].append(column)
        used += width
    return parts


def _width_pt(column: Column) -> float:
    f1 = max(_SCORE_PT, _LETTER_PT * len(column.f1_title))
    body = _SCORE_PT + f1 + 2 * _GAP_PT + (_DIFFERENCE_PT + _GAP_PT if column.compared else 0)
    return max(body, _LETTER_PT * len(column.title) + _GAP_PT)


def _part(table: ScoreTable, columns: Sequence[Column], number: int, total: int) -> str:
    count = sum(_span(column) for column in columns)
    which = f", part {number} of {total}" if total > 1 else ""
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{2.5pt}",
        rf"\caption{{Accuracy and F1, protocol {escape(table.protocol)}{which}.}}",
        rf"\label{{tab:medvlm-{slug(table.protocol)}-{number}}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * count}@{{}}}}",
        r"\toprule",
        *_header(columns),
        *_body(table, columns, count),
        r"\bottomrule",
        r"\end{tabular}",
        _notes(table),
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _span(column: Column) -> int:
    return 3 if column.compared else 2


def _header(columns: Sequence[Column]) -> list[str]:
    names, rules, titles, at = [""], [], ["Model"], 2
    for column in columns:
        span = _span(column)
        names.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(column.title)}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + span - 1}}}")
        titles += ["Accuracy", escape(column.f1_title), *([r"$\Delta$"] if column.compared else [])]
        at += span
    return [_row(names), "".join(rules), _row(titles)]


def _body(table: ScoreTable, columns: Sequence[Column], count: int) -> list[str]:
    lines = []
    for group in table.groups:
        # \rlap: a long heading must not widen the columns it spans.
        title = rf"\rlap{{\textit{{{escape(group.title)}}}}}"
        lines += [r"\midrule", rf"\multicolumn{{{count + 1}}}{{@{{}}l@{{}}}}{{{title}}} \\"]
        for model, name in group.models:
            fields = [field for column in columns for field in _fields(column, column.entries.get(model))]
            lines.append(_row([escape(name), *fields]))
    return lines


def _fields(column: Column, entry: Entry | None) -> list[str]:
    if entry is None:
        return [_ABSENT] * _span(column)
    fields = [_score(entry.accuracy, entry), _score(entry.f1, entry)]
    if column.compared:
        mark = r"\,(n)" if entry.n_differs else ""
        fields.append(escape(entry.difference) + mark if entry.difference else _ABSENT)
    return fields


def _score(score: Score | None, entry: Entry) -> str:
    if score is None:
        return _ABSENT
    text = rf"{score.mean} $\pm$ {score.std}\,\%"
    return (rf"\textbf{{{text}}}" if score.best else text) + ("$^{=}$" if score.tied else "") + _MARKS[entry.mark]


def _notes(table: ScoreTable) -> str:
    """Return the notes, under every part: parts float apart, and a warning has to stand with each."""
    body = r"\\".join(escape(note) for note in table.notes)
    return rf"\par\smallskip\begin{{minipage}}{{\linewidth}}\raggedright\scriptsize {body}\end{{minipage}}"


def _row(fields: Sequence[str]) -> str:
    return " & ".join(fields) + r" \\"
