"""Copying: what of a screen can be copied, and a dialog that says truthfully where it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.rows import Row, Rows
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.states import GREY

FILE = "clipboard.txt"
"""In the workspace: what was copied last."""


@dataclass(frozen=True, slots=True)
class Copyable:
    """One thing that can be copied."""

    name: str
    text: str


class CopyScreen(Dialog[Copyable]):
    """Offers what a screen can copy; the whole text is shown, for the mouse of a terminal that takes no copies."""

    AUTO_FOCUS = "Rows"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,y", "choose", "copy it")]

    def __init__(self, offered: Sequence[Copyable]) -> None:
        self._offered = {str(number): one for number, one in enumerate(offered)}
        super().__init__("Copy", Text(), "enter or y copies   esc close")

    def extra(self) -> ComposeResult:
        """The list, and the text of what is under the cursor."""
        yield Rows("", widget_id="copy-list")
        yield Static(id="copy-text")

    def on_mount(self) -> None:
        """Fill the list once."""
        rows = [Row(number, partial(_line, one)) for number, one in self._offered.items()]
        self.query_one(Rows).set_rows(rows)
        self.query_one(Rows).styles.height = len(rows)
        self._moved()

    @on(Rows.Moved)
    def _moved(self) -> None:
        one = self._offered.get(self.query_one(Rows).row)
        lines = [clean(line) for line in one.text.splitlines()] if one is not None else []
        self.query_one("#copy-text", Static).update(Text("\n".join(lines), style=GREY))

    def action_choose(self) -> None:
        """Copy what is under the cursor."""
        one = self._offered.get(self.query_one(Rows).row)
        if one is not None and self.is_current:
            self.dismiss(one)


def _line(one: Copyable, width: int) -> Text:
    line = Text.assemble((f"{one.name}  ", "bold"), (clean(one.text.splitlines()[0] if one.text else ""), GREY))
    line.truncate(width, overflow="ellipsis")
    return line


def image_copies(board: Board, dataset: str, image: str) -> list[Copyable]:
    """Return the image's id, and the path of its file where that is below the dataset's folder."""
    found = [Copyable("image id", image)]
    root = board.datasets[dataset].root if dataset in board.datasets else ""
    path = Path(root) / image
    return [*found, Copyable("path of the image", str(path))] if root and path.is_file() else found
