"""A table of scores as the one model of a table: which columns it has, how wide they are in print, what goes aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from medvlm_tui.report.formats.latex import LETTER_PT
from medvlm_tui.report.formats.table import Aside, Column, Heading, Printed, Row, Table
from medvlm_tui.report.results.run_results import Gathered, made_once
from medvlm_tui.report.scores.score_table import score_tables
from medvlm_tui.report.scores.table_notes import DIFFERENCE_SIGNS
from medvlm_tui.report.scores.table_records import DatasetColumns, ScoreTable

# Widths measured in article's \footnotesize; each column has a gap.
_GAP_PT = 4.0
_SCORE_PT = 58.0
_DIFFERENCE_PT = 30.0
_TOO_FEW_PT = 16.0
_PRECISION_PT = 16.0
_BALANCED = "Bal. acc."


@made_once
def printed_scores(results: Gathered) -> tuple[Table, ...]:
    """Return the scores of a run as tables to print, one for each protocol."""
    return printed(score_tables(results.cells, results.verdicts))


def printed(scores: Sequence[ScoreTable]) -> tuple[Table, ...]:
    """Return each protocol's scores as a table to print."""
    return tuple(map(_table, scores))


def _table(scores: ScoreTable) -> Table:
    columns = tuple(column for dataset in scores.columns for column in _columns(dataset, scores.protocol))
    title = f"Accuracy and F1, protocol {scores.protocol}"
    return Table(scores.protocol, (Column("model", "Model"), *columns), tuple(_rows(scores)), title, scores.notes)


def _columns(dataset: DatasetColumns, protocol: str) -> Iterator[Column]:
    width = _score_pt(dataset)
    balanced = Aside(f"Balanced accuracy, protocol {protocol}", "balanced")
    difference = Aside(f"Accuracy minus the published one in percent points, protocol {protocol}", "difference")
    column = Column("", kind="number", group=dataset.title)
    yield replace(column, name="accuracy", short="Accuracy", width_pt=width + _GAP_PT)
    f1_pt = max(width, LETTER_PT * len(dataset.f1_title)) + _GAP_PT
    yield replace(column, name="f1", title=dataset.f1_title, width_pt=f1_pt)
    if _knows_balanced(dataset):
        balanced_pt = LETTER_PT * len(_BALANCED) + _GAP_PT
        yield replace(column, name="balanced accuracy", short=_BALANCED, width_pt=balanced_pt, aside=balanced)
    for source in dataset.sources:
        sign, width_pt = DIFFERENCE_SIGNS[source], _DIFFERENCE_PT + _GAP_PT
        yield replace(column, name=f"difference_{source}", title=sign, width_pt=width_pt, aside=difference)


def _score_pt(dataset: DatasetColumns) -> float:
    entries = dataset.entries.values()
    scores = [score for entry in entries for score in (entry.accuracy, entry.f1) if score is not None]
    wider = (
        (any(score.too_few for score in scores), _TOO_FEW_PT),
        (any(score.precision for score in scores), _PRECISION_PT),
    )
    return _SCORE_PT + sum(width for needed, width in wider if needed)


def _knows_balanced(dataset: DatasetColumns) -> bool:
    return any(entry.balanced is not None for entry in dataset.entries.values())


def _rows(scores: ScoreTable) -> Iterator[Row | Heading]:
    for group in scores.groups:
        yield Heading(group.title)
        for model, title in group.models:
            yield (title, *(value for dataset in scores.columns for value in _values(dataset, model)))


def _values(dataset: DatasetColumns, model: str) -> Iterator[Printed | None]:
    entry = dataset.entries.get(model)
    if entry is None:
        yield from (None,) * (2 + _knows_balanced(dataset) + len(dataset.sources))
        return
    yield entry.accuracy
    yield entry.f1
    if _knows_balanced(dataset):
        yield entry.balanced
    yield from (entry.differences.get(source) for source in dataset.sources)
