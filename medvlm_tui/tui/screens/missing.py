"""What is missing to run the paper, and how to get it."""

from __future__ import annotations

from rich.text import Text

from medvlm_tui.tui.board import Board
from medvlm_tui.tui.records import DatasetRow, ModelRow
from medvlm_tui.tui.screens.dialog import Dialog
from medvlm_tui.tui.states import GREY, letter


class MissingScreen(Dialog[None]):
    """Datasets first: without them no weights help."""

    def __init__(self, board: Board) -> None:
        datasets = [row for row in board.datasets.values() if row.state == "data_missing"]
        models = [row for row in board.models.values() if row.state == "weights_missing"]
        lines = [*_section("Data", datasets, len(board.datasets)), Text(), *_section("Weights", models, len(board.models))]
        super().__init__("What is missing", Text("\n").join(lines), "o data folder (on home)   esc close")


def _section(title: str, rows: list[DatasetRow] | list[ModelRow], total: int) -> list[Text]:
    lines = [Text(f"{title}: {len(rows)} of {total} missing", style=f"bold {GREY}")]
    for row in rows:
        lines.append(Text.assemble("  ", letter(row.state), " ", (row.name, "bold"), ("  " + row.licence, GREY)))
        if row.hint:
            lines.append(Text(f"      {row.hint}"))
    return lines
