"""List of what is missing to run the paper's study, and how to get it."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.survey_rows import DatasetRow, ModelRow
from medvlm_tui.tui.states import GREY, letter


class MissingScreen(Dialog[None]):
    """Datasets first: without them no weights help."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "open_data", "data folder")]

    def __init__(self, board: Board) -> None:
        super().__init__("What is missing", Text(), "o data folder   esc close")
        self._board = board

    def action_open_data(self) -> None:
        """Ask for data folders instead."""
        from medvlm_tui.tui.app import MedvlmApp
        from medvlm_tui.tui.home.given_data import ask

        app = self.app
        assert isinstance(app, MedvlmApp)
        self.dismiss(None)
        app.call_later(ask, app)

    def on_mount(self) -> None:
        """Write the lists for the width there is."""
        self.call_after_refresh(self._write)

    def _write(self) -> None:
        board, text = self._board, self.query_one("#dialog-text", Static)
        width = max(20, text.size.width)
        datasets = [row for row in board.datasets.values() if row.state == "data_missing"]
        models = [row for row in board.models.values() if row.state == "weights_missing"]
        lines = _section("Data", datasets, len(board.datasets), width)
        lines += [Text(), *_section("Weights", models, len(board.models), width)]
        text.update(Text("\n").join(lines))


def _section(title: str, rows: list[DatasetRow] | list[ModelRow], total: int, width: int) -> list[Text]:
    lines = [Text(f"{title}: {len(rows)} of {total} missing", style=f"bold {GREY}")]
    for row in rows:
        lines.append(Text.assemble(letter(row.state), " ", (row.name, "bold")))
        for hint in row.hint.splitlines():
            wrapped = textwrap.wrap(
                hint, width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False
            )
            lines += [Text(line) for line in wrapped]
    return lines
