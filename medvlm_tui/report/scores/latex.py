"""Score tables as LaTeX for booktabs: compiles with \\input as it is, split where the text block ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medvlm_tui.core.safe_text import slug
from medvlm_tui.report.formats.latex_text import escape
from medvlm_tui.report.scores.table_notes import SIGNS
from medvlm_tui.report.scores.table_records import Column, Entry, Score, ScoreTable

# The text block of article at 10pt, and widths measured in its \footnotesize.
_TEXT_WIDTH_PT = 345.0
_LETTER_PT = 4.25
_SCORE_PT = 58.0
_DIFFERENCE_PT = 30.0
_TOO_FEW_PT = 16.0
_PRECISION_PT = 16.0
_BALANCED = "Bal. acc."
_GAP_PT = 4.0
_MARKS = {"": "", "dagger": r"$^{\dagger}$", "star": r"$^{\star}$"}
_ABSENT = "--"

Fields = Callable[[Entry], list[str]]


@dataclass(frozen=True, slots=True)
class Block:
    """Columns that stay together: those of one dataset."""

    column: Column
    titles: tuple[str, ...]
    """One a column of the table, escaped."""
    fields: Fields
    below: Fields
    """What stands in a second line under the fields."""
    width_pt: float

    def row(self, model: str) -> list[str]:
        """Return the model's fields, dashes where it has none."""
        entry = self.column.entries.get(model)
        return [_ABSENT] * len(self.titles) if entry is None else self.fields(entry)

    def second_row(self, model: str) -> list[str]:
        """Return what stands under the model's fields."""
        entry = self.column.entries.get(model)
        return [""] * len(self.titles) if entry is None else self.below(entry)


def render(tables: Sequence[ScoreTable]) -> str:
    """Return all tables as `table` environments; needs \\usepackage{booktabs} and nothing else."""
    if not tables:
        return "% No cell has a result yet.\n"
    return "\n".join(_table(table) for table in tables)


def _table(table: ScoreTable) -> str:
    """Return one `table`, or several: balanced accuracy and differences beside the scores only where all fits one."""
    label, caption = f"tab:medvlm-{slug(table.protocol)}", f"Accuracy and F1, protocol {escape(table.protocol)}"
    whole = _parts(table, [_scores(column, whole=True) for column in table.columns])
    if len(whole) == 1:
        return _part(table, whole[0], caption, label)
    scores = _parts(table, [_scores(column, whole=False) for column in table.columns])
    differences = _parts(table, [_differences(column) for column in table.columns if column.sources])
    balanced = _parts(table, [_balanced(column) for column in table.columns if _knows_balanced(column)])
    texts = _numbered(table, scores, caption, label)
    caption = f"Balanced accuracy, protocol {escape(table.protocol)}"
    texts += _numbered(table, balanced, caption, f"{label}-balanced")
    caption = f"Accuracy minus the published one in percent points, protocol {escape(table.protocol)}"
    return "\n".join([*texts, *_numbered(table, differences, caption, f"{label}-difference")])


def _numbered(table: ScoreTable, parts: Sequence[list[Block]], caption: str, label: str) -> list[str]:
    if len(parts) == 1:
        return [_part(table, parts[0], caption, label)]
    return [
        _part(table, blocks, f"{caption}, part {number} of {len(parts)}", f"{label}-{number}")
        for number, blocks in enumerate(parts, start=1)
    ]


def _scores(column: Column, whole: bool) -> Block:
    sources = column.sources if whole else ()
    scores = [score for entry in column.entries.values() for score in (entry.accuracy, entry.f1) if score is not None]
    score_pt = _SCORE_PT + (_TOO_FEW_PT if any(score.too_few for score in scores) else 0)
    score_pt += _PRECISION_PT if any(entry.precision for entry in column.entries.values()) else 0
    f1 = max(score_pt, _LETTER_PT * len(column.f1_title))
    balanced = [_BALANCED] if whole and _knows_balanced(column) else []
    balanced_pt = len(balanced) * (_LETTER_PT * len(_BALANCED) + _GAP_PT)
    width = score_pt + f1 + balanced_pt + 2 * _GAP_PT + len(sources) * (_DIFFERENCE_PT + _GAP_PT)
    titles = ("Accuracy", escape(column.f1_title), *balanced, *(escape(SIGNS[source]) for source in sources))

    def fields(entry: Entry) -> list[str]:
        scores = [_score(entry.accuracy, entry), _score(entry.f1, entry), *[_balanced_score(entry) for _ in balanced]]
        return [*scores, *(_difference(entry, source) for source in sources)]

    def below(entry: Entry) -> list[str]:
        return [_below(entry.accuracy, entry), _below(entry.f1, entry), *[""] * len([*balanced, *sources])]

    return Block(column, titles, fields, below, max(width, _LETTER_PT * len(column.title) + _GAP_PT))


def _knows_balanced(column: Column) -> bool:
    return any(entry.balanced for entry in column.entries.values())


def _balanced(column: Column) -> Block:
    width = _LETTER_PT * max(len(_BALANCED), len(column.title)) + _GAP_PT
    return Block(column, (_BALANCED,), lambda entry: [_balanced_score(entry)], lambda _: [""], width)


def _balanced_score(entry: Entry) -> str:
    return rf"{entry.balanced}\,\%" if entry.balanced else _ABSENT


def _differences(column: Column) -> Block:
    signs = tuple(escape(SIGNS[source]) for source in column.sources)
    width = max(len(signs) * (_DIFFERENCE_PT + _GAP_PT), _LETTER_PT * len(column.title) + _GAP_PT)
    empty = [""] * len(signs)
    return Block(
        column, signs, lambda entry: [_difference(entry, source) for source in column.sources], lambda _: empty, width
    )


def _parts(table: ScoreTable, blocks: Sequence[Block]) -> list[list[Block]]:
    """Return the blocks in runs that fit the text block beside the models' names."""
    names = [title for group in table.groups for _, title in group.models]
    room = _TEXT_WIDTH_PT - _LETTER_PT * max(map(len, names))
    parts: list[list[Block]] = []
    used = 0.0
    for block in blocks:
        if not parts or used + block.width_pt > room:
            parts.append([])
            used = 0.0
        parts[-1].append(block)
        used += block.width_pt
    return parts


def _part(table: ScoreTable, blocks: Sequence[Block], caption: str, label: str) -> str:
    count = sum(len(block.titles) for block in blocks)
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{2pt}",
        rf"\caption{{{caption}.}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * count}@{{}}}}",
        r"\toprule",
        *_header(blocks),
        *_body(table, blocks, count),
        r"\bottomrule",
        r"\end{tabular}",
        _notes(table),
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _header(blocks: Sequence[Block]) -> list[str]:
    names, rules, titles, at = [""], [], ["Model"], 2
    for block in blocks:
        span = len(block.titles)
        names.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(block.column.title)}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + span - 1}}}")
        titles += block.titles
        at += span
    return [_row(names), "".join(rules), _row(titles)]


def _body(table: ScoreTable, blocks: Sequence[Block], count: int) -> list[str]:
    lines = []
    for group in table.groups:
        # \rlap: a long heading must not widen the columns it spans.
        title = rf"\rlap{{\textit{{{escape(group.title)}}}}}"
        lines += [r"\midrule", rf"\multicolumn{{{count + 1}}}{{@{{}}l@{{}}}}{{{title}}} \\"]
        for model, name in group.models:
            lines.append(_row([escape(name), *(field for block in blocks for field in block.row(model))]))
            below = [field for block in blocks for field in block.second_row(model)]
            lines += [_row(["", *below])] if any(below) else []
    return lines


def _score(score: Score | None, entry: Entry) -> str:
    if score is None:
        return _ABSENT
    text = rf"{score.mean} $\pm$ {score.std}\,\%"
    return (rf"\textbf{{{text}}}" if score.best else text) + ("$^{=}$" if score.tied else "") + _MARKS[entry.mark]


def _below(score: Score | None, entry: Entry) -> str:
    """Return what stands under a score: its interval, that images are too few, the precision of the features."""
    if score is None:
        return ""
    text = " ".join(filter(None, [escape(score.interval), "too few" if score.too_few else "", escape(entry.precision)]))
    return rf"{{\scriptsize {text}}}" if text else ""


def _difference(entry: Entry, source: str) -> str:
    if source not in entry.differences:
        return _ABSENT
    marks = entry.marks[source]
    return escape(entry.differences[source]) + (f"$^{{{marks}}}$" if marks else "")


def _notes(table: ScoreTable) -> str:
    """Return the notes, under every part: parts float apart, and a warning has to stand with each."""
    body = r"\\".join(escape(note) for note in table.notes)
    return rf"\par\smallskip\begin{{minipage}}{{\linewidth}}\raggedright\scriptsize {body}\end{{minipage}}"


def _row(fields: Sequence[str]) -> str:
    return " & ".join(fields) + r" \\"
