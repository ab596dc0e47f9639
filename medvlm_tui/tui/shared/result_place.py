"""Base of screens that show one result: going from cell to cell, reading the store, naming what is missing."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType

from medvlm_tui.core.safe_text import error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.state.survey_rows import Cell


class WalkScreen(PlaceScreen):
    """A place that shows one kind of result of the current cell; subclasses read and draw."""

    kind: ClassVar[str] = ""
    """The kind of result in a cell's `keys`."""
    noun: ClassVar[str] = ""
    """Name of the result in messages."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("less_than_sign", "walk(-1)", "other result", key_display="< >"),
        Binding("greater_than_sign", "walk(1)", "next cell", show=False),
        Binding("escape", "app.back", "back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.cell = Cell("", "", "nothing")
        self.shown_key = ""

    @property
    def cell_title(self) -> str:
        """Model and dataset, safe to show."""
        board = self.medvlm.board
        return f"{board.model_name(self.cell.model)} × {board.dataset_name(self.cell.dataset)}"

    def show(self) -> None:
        """Show the current cell's result, the first there is when home stands on none."""
        selection, board = self.medvlm.selection, self.medvlm.board
        there = board.with_result(self.kind)
        self.cell = board.cell(selection.model, selection.dataset)
        if self.kind not in self.cell.keys and there and not selection.model:
            self.cell = there[0]
        key = self.cell.keys.get(self.kind, "")
        if not key:
            self.shown_key = ""
            self.say(self._absent(len(there)))
        elif key != self.shown_key:
            self.load(self.cell, key)

    @work(exclusive=True, group="load")
    async def load(self, cell: Cell, key: str) -> None:
        """Read and draw; an error is said in the place of the picture."""
        try:
            found = await self.read(cell)
        except MedvlmError as error:
            self.say(Text(error_text(error)))
            return
        self.shown_key = key if found else ""
        if not found:
            self.say(Text(f"the {self.noun} is not in the store any more: run this cell again (F2, r)"))

    async def read(self, cell: Cell) -> bool:
        """Read the result and draw it; returns False when the store does not have it; raises MedvlmError."""
        raise NotImplementedError

    def say(self, text: Text) -> None:
        """Show words in the place of the picture."""
        raise NotImplementedError

    def _absent(self, elsewhere: int) -> Text:
        have = "s have" if elsewhere != 1 else " has"
        others = f"\n{elsewhere} other cell{have} one: < and > go there" if elsewhere else ""
        return Text(f"No {self.noun} of {self.cell_title} yet: F2, r runs it{others}")

    def action_walk(self, step: int) -> None:
        """Go to the next cell that has a result of this kind."""
        there = self.medvlm.board.with_result(self.kind)
        if not there:
            return
        here = [(cell.model, cell.dataset) for cell in there]
        current = (self.cell.model, self.cell.dataset)
        index = (here.index(current) + step) % len(here) if current in here else 0
        self.medvlm.selection.model, self.medvlm.selection.dataset = here[index]
        self.show()
