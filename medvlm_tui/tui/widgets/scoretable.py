"""The table of scores: what stands in its rows, and how a row looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rich.text import Text

from medvlm_tui.tui.board import Board
from medvlm_tui.tui.records import Cell
from medvlm_tui.tui.states import GREY
from medvlm_tui.tui.widgets.rows import Row, plain

NOTE = "s saturated: no training error at any t   ≠n another n than the paper's"
NARROW = 90
"""Below this width macro F1 is left to the panel below the table."""


@dataclass(frozen=True, slots=True)
class Score:
    """One model on one dataset, beside what was published."""

    model: str
    dataset: str
    model_name: str
    dataset_name: str
    group: str
    accuracy: float
    std: float | None
    macro_f1: float | None
    t: float | None
    saturated: bool
    published: float | None
    other_n: bool
    """The number of images is not the published one, so the difference says little."""

    @property
    def row(self) -> str:
        """Names the row; ids hold no line breaks that a name could imitate."""
        return f"{self.model}\n{self.dataset}"

    @property
    def delta(self) -> float | None:
        """Ours less the published accuracy."""
        return None if self.published is None else self.accuracy - self.published


SORTS: dict[str, Callable[[Score], tuple[object, ...]]] = {
    "catalog": lambda score: (),
    "accuracy": lambda score: (-score.accuracy,),
    "macro F1": lambda score: (-(score.macro_f1 or 0.0),),
    "dataset": lambda score: (score.dataset_name, -score.accuracy),
    "difference": lambda score: (score.delta is None, -(score.delta or 0.0)),
}


def scores(board: Board) -> list[Score]:
    """Return every cell that has an accuracy, models in the catalog's order."""
    cells = [board.cell(model, dataset) for model in board.models for dataset in board.datasets]
    return [_score(board, cell, cell.accuracy) for cell in cells if cell.accuracy is not None]


def _score(board: Board, cell: Cell, accuracy: float) -> Score:
    # 500 rows of CSV: read with the first table, not at the start.
    from medvlm_tui.catalog.published import published

    printed = published(cell.dataset, cell.model, "accuracy")
    dataset = board.datasets[cell.dataset]
    return Score(
        cell.model, cell.dataset, board.model_name(cell.model), board.dataset_name(cell.dataset),
        board.models[cell.model].group, accuracy, cell.std, cell.macro_f1, cell.t, cell.saturated,
        printed.mean if printed is not None else None,
        bool(dataset.published_n) and dataset.images != dataset.published_n,
    )  # fmt: skip


def rows(found: Sequence[Score], sort: str) -> list[Row]:
    """Return the table's lines; groups are headings in the catalog's order."""
    best = {score.dataset: max(s.accuracy for s in found if s.dataset == score.dataset) for score in found}
    lines: list[Row] = []
    group = ""
    for score in sorted(found, key=SORTS[sort]):
        if sort == "catalog" and score.group != group:
            group = score.group
            lines.append(plain(Text(group, style=f"bold {GREY}")))
        is_best = score.accuracy == best[score.dataset]
        lines.append(Row(score.row, partial(_line, score, is_best)))
    return lines


def header(width: int) -> Text:
    """Return the names of the columns."""
    return _columns(Text("  model"), Text("dataset"), "accuracy %", "F1", "paper", "diff", "t", width, "bold", "bold")


def _line(score: Score, best: bool, width: int) -> Text:
    accuracy = f"{100 * score.accuracy:.1f}" + (f" ± {100 * score.std:.1f}" if score.std is not None else "      ")
    delta = f"{100 * score.delta:+.1f}{'≠n' if score.other_n else '  '}" if score.delta is not None else ""
    return _columns(
        Text(f"  {score.model_name}"), Text(score.dataset_name), accuracy,
        f"{100 * score.macro_f1:.1f}" if score.macro_f1 is not None else "",
        f"{100 * score.published:.1f}" if score.published is not None else "", delta,
        f"{score.t:g}{' s' if score.saturated else '  '}" if score.t is not None else "",
        width, "bold" if best else "", "dim",
    )  # fmt: skip


def _columns(
    model: Text,
    dataset: Text,
    accuracy: str,
    f1: str,
    paper: str,
    delta: str,
    t: str,
    width: int,
    strong: str,
    weak: str,
) -> Text:
    """Lay out one line: names share what the numbers leave, model before dataset."""
    numbers = Text.assemble(
        (f"{accuracy:>13}", strong), f"{f1:>7}" if width >= NARROW else "",
        (f"{paper:>7}", weak), f"{delta:>8}", f"{t:>8}",
    )  # fmt: skip
    names = max(20, min(width - numbers.cell_len, 64))
    model_width = names * 6 // 10
    model, dataset = model.copy(), dataset.copy()
    model.truncate(model_width - 1, overflow="ellipsis", pad=True)
    dataset.truncate(names - model_width, overflow="ellipsis", pad=True)
    return Text.assemble(model, " ", dataset, numbers)
