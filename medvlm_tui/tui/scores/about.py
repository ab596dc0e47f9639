"""The line below the table: what is known of the cell under the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from medvlm_tui.catalog.published import PAPER, POSTER, published
from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.scores.look import interval, number
from medvlm_tui.tui.scores.table import ScoreTable, ShownScore, newest, probe_of
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.report.scores.verdicts import Verdicts


def about_cell(board: Board, cell: Cell, table: ScoreTable, shown: tuple[str, str], known: Sequence[Verdicts]) -> Text:
    """Return the score with its spread, interval, published value, other protocols, and its comparison with the best.

    `shown` is the protocol and the metric of the table, `known` the comparisons of models on the cell's dataset.
    """
    score = table.scores.get((cell.model, cell.dataset))
    name = f"{board.model_name(cell.model)} × {board.dataset_name(cell.dataset)}"
    if score is None:
        return Text.assemble((name, "bold"), ("  no score here", GREY), no_wrap=True, overflow="ellipsis")
    metric = shown[1]
    line = Text.assemble((name, "bold"), "  ", number(score.mean, metric, score.std), no_wrap=True, overflow="ellipsis")
    for label, value in _facts(board, cell, table, shown, known):
        line.append(f"   {label} ", GREY).append(value)
    return line


def _facts(
    board: Board, cell: Cell, table: ScoreTable, shown: tuple[str, str], known: Sequence[Verdicts]
) -> Iterator[tuple[str, str]]:
    protocol, metric = shown
    score = table.scores[cell.model, cell.dataset]
    own = probe_of(cell, protocol)
    if own is not None and own.seeds > 1:
        yield "mean over", f"{own.seeds} hold-outs"
    if score.interval is not None:
        yield "95 %", interval(score.interval, metric)
    printed = published(cell.dataset, cell.model, metric, POSTER if protocol == "poster" else PAPER)
    if printed is not None:
        yield "published", number(printed.mean, metric, printed.std)
    for other in cell.probes:
        found = probe_of(cell, other)
        if other != protocol and found is not None and metric in found.metrics:
            yield clean(other).replace("_", "-"), number(found.metrics[metric][0], metric)
    if (verdict := _beside_best(board, cell, table, metric, known)) is not None:
        yield verdict


def _beside_best(
    board: Board, cell: Cell, table: ScoreTable, metric: str, known: Sequence[Verdicts]
) -> tuple[str, str] | None:
    """Return how the model compares with the best of its column, None where that was not tested."""
    score = table.scores[cell.model, cell.dataset]
    best = _best(table.scores, cell.dataset)
    verdict = newest(known, cell.model, best, metric) if best and not score.best else None
    if score.best:
        return "best", "of this column"
    if verdict is None:
        return None
    p_value = verdict.p_value(cell.model, best, metric)
    word = "too few images against" if score.too_few else "tied with" if score.tied else "below"
    return word, f"{board.model_name(best)} (p {p_value:.2g})"


def _best(scores: Mapping[tuple[str, str], ShownScore], dataset: str) -> str:
    return next((model for (model, of), score in scores.items() if of == dataset and score.best), "")
