"""Appearance of the table of scores: a cell in each view, a model's line, the legend of the signs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from medvlm_tui.stages.protocols import SATURATED
from medvlm_tui.tui.scores.table import NO_SHARES, ScoreTable, ShownScore
from medvlm_tui.tui.shared.matrix import Axis
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.states import GREEN, GREY, RED, YELLOW

# `100.0±10.0=†` and a gap.
COLUMN = 13
_MARKS = {"": " ", "dagger": "†", "star": "★"}
NOTES = {
    "score": "± of the folds alone (c: interval)   = not told apart from the best   ? too few images   "
    "† modality, ★ dataset in training",
    "interval": "95 % interval over the held-out images, under grouped over their groups",
    "published": "what was printed   ≠ with other images (n), classes (c), protocol (p)",
    "difference": "ours less the printed one, in points   ≠ other images (n), classes (c), protocol (p)",
    "leakage": "paper minus grouped, in points, of two hold-outs: leakage.csv has the same images",
    "grid": f"the chosen t   s {SATURATED}   → what a tuned grid chooses",
}


def cell_text(score: ShownScore | None, view: str, metric: str) -> Text:
    """Return one cell; a score that the view has nothing for is a dot."""
    if score is None:
        return Text("·", style=GREY)
    if view == "score":
        tail = ("=" if score.tied else "?" if score.too_few else " ") + _MARKS[score.mark]
        return Text.assemble((f"{number(score.mean, score.std, metric)}{tail}", "bold" if score.best else ""))
    if view == "grid":
        return _grid(score)
    if view == "interval":
        return _absent() if score.interval is None else Text(_interval(score.interval, metric))
    other = f"≠{score.other}" if score.other else "  "
    if view == "published":
        return _absent() if score.published is None else Text(f"{100 * score.published:.1f}{other}", style=GREY)
    value = score.delta if view == "difference" else score.leakage
    if value is None:
        return _absent()
    style = (RED if value > 0 else "") if view == "leakage" else (GREEN if value >= 0 else RED)
    return Text(f"{100 * value:+.1f}{other if view == 'difference' else ''}", style=style)


def number(mean: float, std: float | None, metric: str) -> str:
    """Return a score in percent, an area or a calibration error as a fraction."""
    if metric in NO_SHARES:
        return f"{mean:.3f}" + (f"±{std:.3f}" if std is not None else "")
    return f"{100 * mean:.1f}" + (f"±{100 * std:.1f}" if std is not None else "")


def _interval(bounds: tuple[float, float], metric: str) -> str:
    low, high = bounds
    return f"{low:.3f}–{high:.3f}" if metric in NO_SHARES else f"{100 * low:.1f}–{100 * high:.1f}"


def axes(
    board: Board, table: ScoreTable, models: Sequence[str], datasets: Sequence[str], grouped: bool
) -> tuple[list[Axis], list[Axis]]:
    """Return the rows, with groups as headings where they are `grouped`, and the columns."""
    rows: list[Axis] = []
    group = ""
    for model in models:
        if grouped and board.models[model].group != group:
            group = board.models[model].group
            rows.append(Axis("", Text(group, style=f"bold {GREY}")))
        # The rank first: on a narrow terminal the end of the name is what gets lost.
        rank = f"{table.ranks[model]:5.1f}" if model in table.ranks else "     "
        rows.append(Axis(model, Text.assemble((f"{rank}  ", GREY), board.model_name(model))))
    return rows, [Axis(dataset, Text(board.dataset_name(dataset))) for dataset in datasets]


def _grid(score: ShownScore) -> Text:
    if score.t is None:
        return _absent()
    text = Text(f"{score.t:g}")
    if score.saturated:
        text.append("s", style=YELLOW)
    return text.append(f"→{score.tuned_t:g}", style=GREY) if score.tuned_t is not None else text


def _absent() -> Text:
    return Text("–", style=GREY)
