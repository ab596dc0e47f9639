"""Models x datasets: names fixed at the left and on top, one cell under the cursor."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from medvlm_tui.tui.shared.pane import Pane

COLUMN = 9
"""Cells a column takes, its gap included: a mark and `100.0 ✓`."""
HEADER = 2
"""Lines of the datasets' names."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One model or one dataset."""

    id: str
    """Empty for the heading of a group of models."""
    label: Text


class Matrix(Pane):
    """A table of cells that a function draws; what does not fit is reached by moving the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "up", show=False),
        Binding("down,j", "move(1, 0)", "down", show=False),
        Binding("left,h", "move(0, -1)", "left", show=False),
        Binding("right,l", "move(0, 1)", "right", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "first", "first", show=False),
    ]

    class Moved(Message):
        """The cursor stands on another cell."""

        def __init__(self, model: str, dataset: str) -> None:
            super().__init__()
            self.model, self.dataset = model, dataset

    def __init__(
        self, title: str, draw: Callable[[str, str], Text], widget_id: str | None = None, column_width: int = COLUMN
    ) -> None:
        super().__init__(title, widget_id)
        self._draw = draw
        self._column_width = column_width
        self.corner = ""
        """Stands above the names of the models."""
        self.models: Sequence[Axis] = ()
        self.datasets: Sequence[Axis] = ()
        self.row = -1
        self.column = 0
        self.left = 0

    def set_axes(self, models: Sequence[Axis], datasets: Sequence[Axis], model: str, dataset: str) -> None:
        """Show these rows and columns with the cursor on one cell."""
        self.models, self.datasets = models, datasets
        self.go_to(model, dataset)

    def go_to(self, model: str, dataset: str) -> None:
        """Put the cursor on a cell, on the first one where it is not shown."""
        choices = [index for index, axis in enumerate(self.models) if axis.id]
        same = [index for index in choices if self.models[index].id == model]
        self.row = same[0] if same else choices[0] if choices else -1
        columns = [index for index, axis in enumerate(self.datasets) if axis.id == dataset]
        self.column = columns[0] if columns else 0
        self._settle()

    @property
    def names_width(self) -> int:
        """Cells the names of the models take."""
        longest = max((axis.label.cell_len for axis in self.models), default=8)
        return min(longest + 1, max(12, self.content_size.width // 3))

    @property
    def columns_shown(self) -> int:
        """Return the number of datasets that fit."""
        return max(1, (self.content_size.width - self.names_width) // self._column_width)

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor, over headings of groups."""
        row = self.row + down
        while 0 <= row < len(self.models) and not self.models[row].id:
            row += down
        row = row if 0 <= row < len(self.models) else self.row
        column = min(max(0, self.column + right), max(0, len(self.datasets) - 1))
        self._put(row, column)

    def action_page(self, step: int) -> None:
        """Move by what is shown at once."""
        for _ in range(max(1, self.content_size.height - HEADER - 1)):
            self.action_move(step, 0)

    def action_first(self) -> None:
        """Go to the first cell."""
        self.row, self.column = -1, 0
        self.action_move(1, 0)

    def render_line(self, y: int) -> Strip:
        """Draw one line: the datasets' names, or a model with its cells."""
        if y < HEADER:
            return self.strip(self._header(y))
        index = self.top + y - HEADER
        if not self.datasets or index >= len(self.models):
            return self.strip(Text())
        axis = self.models[index]
        label = axis.label.copy()
        if not axis.id:
            return self.strip(label)
        label.truncate(self.names_width - 1, overflow="ellipsis")
        label.pad_right(self.names_width - label.cell_len)
        if index == self.row:
            label.stylize("bold")
        return self.strip(Text.assemble(label, *(self._cell(axis.id, column) for column in self._visible())))

    def _cell(self, model: str, column: int) -> Text:
        text = _right(self._draw(model, self.datasets[column].id), self._column_width)
        if self.row >= 0 and model == self.models[self.row].id and column == self.column:
            text.stylize_before(self.cursor_style(), 1)
        return text

    def _header(self, line: int) -> Text:
        wide = self._column_width
        corner = Text(self.corner if line else "", style="dim")
        corner.truncate(self.names_width - 1, overflow="ellipsis")
        corner.pad_right(self.names_width - corner.cell_len)
        parts = [corner]
        for column in self._visible():
            label = _right(Text(two_lines(self.datasets[column].label.plain, wide - 1)[line]), wide)
            label.stylize("bold" if column == self.column else "")
            parts.append(label)
        return Text.assemble(*parts)

    def _visible(self) -> range:
        return range(self.left, min(len(self.datasets), self.left + self.columns_shown))

    def on_resize(self, _event: events.Resize) -> None:
        """Keep the cursor in view."""
        self._settle()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is."""
        row = self.top + event.y - self.gutter.top - HEADER
        column = self.left + (event.x - self.gutter.left - self.names_width) // self._column_width
        if 0 <= row < len(self.models) and self.models[row].id and self.left <= column < len(self.datasets):
            self._put(row, column)

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        """Move down."""
        self.action_move(1, 0)

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        """Move up."""
        self.action_move(-1, 0)

    def _put(self, row: int, column: int) -> None:
        if (row, column) == (self.row, self.column):
            return
        self.row, self.column = row, column
        self._settle()
        if row >= 0 and self.datasets:
            self.post_message(self.Moved(self.models[row].id, self.datasets[column].id))

    def _settle(self) -> None:
        height = self.content_size.height - HEADER
        if self.row >= 0:
            self.keep_visible(0 if self.row <= 1 else self.row, height)
            self.keep_visible(self.row, height)
        self.top = max(0, min(self.top, len(self.models) - height))
        self.left = max(0, min(self.left, len(self.datasets) - self.columns_shown))
        if self.column < self.left:
            self.left = self.column
        elif self.column >= self.left + self.columns_shown:
            self.left = self.column - self.columns_shown + 1
        self._tell_position()
        self.refresh()

    def _tell_position(self) -> None:
        seen = self._visible()
        more = f"datasets {seen.start + 1}-{seen.stop} of {len(self.datasets)}"
        self.set_title(self._title, more if len(seen) < len(self.datasets) and self.content_size.width else "")


def _right(text: Text, width: int) -> Text:
    """Return the text right-aligned in a column, with a gap at its left."""
    text = text.copy()
    text.truncate(width - 1, overflow="ellipsis")
    return Text.assemble(" " * (width - text.cell_len), text)


def two_lines(name: str, width: int) -> tuple[str, str]:
    """Return a name broken after a space or hyphen into an upper and a lower line of at most `width` cells."""
    words = re.findall(r"[^\s-]*-|[^\s-]+\s*|\s+", name)
    upper = ""
    while words and len((upper + words[0]).rstrip()) <= width:
        upper += words.pop(0)
    if not upper and words:
        upper = words.pop(0)
    lower = "".join(words).strip()
    # A name of one line stands on the lower one, next to its column.
    return (upper.rstrip(), lower) if lower else ("", upper.rstrip())
