"""Appearance of the table of scores: a cell in each view, a model's line, the legend of the signs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from medvlm_tui.stages.protocols import SATURATED
from medvlm_tui.tui.scores.table import NO_SHARES, ScoreTable, ShownScore
from medvlm_tui.tui.shared.matrix import Axis
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.states import GREEN, GREY, RED, YELLOW

COLUMNS = {"score": 9, "interval": 13, "published": 10, "difference": 11, "leakage": 9, "grid": 13, "zero-shot": 15}
"""View -> cells that a column takes, its gap included: `100.0=†`, `0.912–0.951`, `97.0≠ncp`, `1e-05s→0.001`."""
_MARKS = {"": " ", "dagger": "†", "star": "★"}
NOTES = {
    "score": "= not told apart from the best   ? too few images   † modality, ★ dataset in training   ± of the folds",
    "interval": "95 % interval over the held-out images, under grouped over their groups",
    "published": "what was printed   ≠ with other images (n), classes (c), protocol (p)",
    "difference": "ours less the printed one, in points   ≠ other images (n), classes (c), protocol (p)",
    "leakage": "paper minus grouped, in points, of two hold-outs: leakage.csv has the same images",
    "zero-shot": "by the model's own texts on the same held-out images (in brackets: less the probe's score)",
    "grid": f"the chosen t   s {SATURATED}   → what a tuned grid chooses",
}


def spread_width(metric: str) -> int:
    """Return the cells of a column of scores that stand with their spread: `100.0±10.0=†`, `0.912±0.011=†`."""
    return 14 if metric in NO_SHARES else 13


def cell_text(score: ShownScore | None, view: str, metric: str, width: int, heat: Sequence[str] = ()) -> Text:
    """Return one cell of a column of `width` cells; a score that the view has nothing for is a dot.

    `heat` holds the grounds behind scores by their rank in the column, from low to high.
    """
    if score is None:
        return Text("·", style=GREY)
    if view == "score":
        tail = ("=" if score.tied else "?" if score.too_few else " ") + _MARKS[score.mark]
        shown = number(score.mean, metric, score.std if width >= spread_width(metric) else None).replace(" ", "")
        text = Text(f"{shown}{tail}".rjust(width - 1), style="bold" if score.best else "")
        if heat and score.better_than is not None:
            text.stylize(f"on {heat[min(len(heat) - 1, int(score.better_than * len(heat)))]}")
        return text
    if view == "grid":
        return _grid(score)
    if view == "interval":
        return _absent() if score.interval is None else Text(interval(score.interval, metric))
    if view == "zero-shot":
        return _texts(score, metric)
    other = f"≠{score.other}" if score.other else "  "
    if view == "published":
        return _absent() if score.published is None else Text(f"{100 * score.published:.1f}{other}", style=GREY)
    value = score.delta if view == "difference" else score.leakage
    if value is None:
        return _absent()
    style = (RED if value > 0 else "") if view == "leakage" else (GREEN if value >= 0 else RED)
    return Text(f"{100 * value:+.1f}{other if view == 'difference' else ''}", style=style)


def number(mean: float, metric: str, std: float | None = None) -> str:
    """Return a score in percent, an area or a calibration error as a fraction, with its spread where it is given."""
    if metric in NO_SHARES:
        return f"{mean:.3f}" + (f" ± {std:.3f}" if std is not None else "")
    return f"{100 * mean:.1f}" + (f" ± {100 * std:.1f}" if std is not None else "")


def interval(bounds: tuple[float, float], metric: str) -> str:
    """Return the two ends of an interval."""
    low, high = bounds
    return f"{low:.3f}–{high:.3f}" if metric in NO_SHARES else f"{100 * low:.1f}–{100 * high:.1f}"


def axes(
    board: Board, table: ScoreTable, models: Sequence[str], datasets: Sequence[str], grouped: bool
) -> tuple[list[Axis], list[Axis]]:
    """Return the rows, under one heading for each group where they are `grouped`, and the columns."""
    columns = [Axis(dataset, Text(board.dataset_name(dataset))) for dataset in datasets]
    if not grouped:
        return [_row(board, table, model) for model in models], columns
    groups: dict[str, list[Axis]] = {}
    for model in models:
        group = board.models[model].group
        groups.setdefault(group, [Axis("", Text(group, style=f"bold {GREY}"))]).append(_row(board, table, model))
    return [axis for group in groups.values() for axis in group], columns


def _row(board: Board, table: ScoreTable, model: str) -> Axis:
    rank = Text(f"{table.ranks[model]:.1f}", style=GREY) if model in table.ranks else Text()
    return Axis(model, Text(board.model_name(model)), rank)


def _grid(score: ShownScore) -> Text:
    if score.t is None:
        return _absent()
    text = Text(f"{score.t:g}")
    if score.saturated:
        text.append("s", style=YELLOW)
    return text.append(f"→{score.tuned_t:g}", style=GREY) if score.tuned_t is not None else text


def _texts(score: ShownScore, metric: str) -> Text:
    if score.zero_shot is None:
        return _absent()
    less = score.zero_shot - score.mean
    shown = f"{less:+.3f}" if metric in NO_SHARES else f"{100 * less:+.1f}"
    return Text.assemble(number(score.zero_shot, metric), (f" ({shown})", GREY))


def _absent() -> Text:
    return Text("–", style=GREY)
