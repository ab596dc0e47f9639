"""The table of scores as text to be copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medvlm_tui.tui.state.board import Board

CellText = Callable[[str, str], str]
"""Model and dataset -> the cell as it is shown."""


def model_line(board: Board, model: str, datasets: Sequence[str], cell: CellText) -> str:
    """Return one model's cells between tabs, its name first."""
    return "\t".join([board.model_name(model), *(cell(model, dataset) for dataset in datasets)])


def markdown_table(board: Board, models: Sequence[str], datasets: Sequence[str], cell: CellText) -> str:
    """Return the table as it is shown, in Markdown."""
    from medvlm_tui.report.formats.markdown import escape

    heads = ["model", *(escape(board.dataset_name(dataset)) for dataset in datasets)]
    lines = [heads, ["---"] + ["---:"] * len(datasets)]
    lines += [[escape(board.model_name(model)), *(escape(cell(model, dataset)) for dataset in datasets)]
              for model in models]  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
