"""Models x datasets: names fixed at the left and on top, one cell under the cursor."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from medvlm_tui.tui.shared.pane import Pane
from medvlm_tui.tui.states import GREY

COLUMN = 9
"""Cells a column takes, its gap included: a mark and `100.0 ✓`."""
LEAST_NAME = 20
"""Cells that a name keeps, its gap included, however many columns there are."""
VALUE = 6
"""Cells of a value beside a name, its gap included: `123.5`."""
HEADER = 2
"""Lines of the datasets' names."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One model or one dataset."""

    id: str
    """Empty for the heading of a group of models."""
    label: Text
    value: Text = field(default_factory=Text)
    """Stands at the right of a model's name, before the datasets."""


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
        self.column_width = column_width
        self.corner, self.value_head = "", ""
        """Stand above the names of the models, and above the values beside them."""
        self.sorted_by, self.sort_mark = "", "▼"
        """Id of the dataset that the models are sorted by, or `value_head`; the sign at its head."""
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
        """Cells of the names and their values: what the columns leave, at least LEAST_NAME where that fits."""
        longest = max((axis.label.cell_len for axis in self.models if axis.id), default=8) + 1 + self._values_width
        width = self.content_size.width
        least = min(LEAST_NAME + self._values_width, max(1, width - self.column_width))
        shown = min(len(self.datasets), max(1, (width - least) // self.column_width))
        return max(min(longest, least), min(longest, width - shown * self.column_width))

    @property
    def _values_width(self) -> int:
        return VALUE if self.value_head else 0

    @property
    def columns_shown(self) -> int:
        """Return the number of datasets that fit."""
        return max(1, (self.content_size.width - self.names_width) // self.column_width)

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
        if not axis.id:
            return self.strip(axis.label)
        label = self._named(axis.label, axis.value)
        if index == self.row:
            label.stylize("bold")
        return self.strip(Text.assemble(label, *(self._cell(axis.id, column) for column in self._visible())))

    def _cell(self, model: str, column: int) -> Text:
        text = _right(self._draw(model, self.datasets[column].id), self.column_width)
        if self.row >= 0 and model == self.models[self.row].id and column == self.column:
            return self.on_cursor(Text.assemble(self.cursor_mark, text[1:]))
        return text

    def _named(self, label: Text, value: Text) -> Text:
        """Return a name with its value at the right, in the width of the names."""
        room = self.names_width - self._values_width
        label = label.copy()
        label.truncate(room - 1, overflow="ellipsis")
        label.pad_right(room - label.cell_len)
        return Text.assemble(label, _right(value, self._values_width)) if self._values_width else label

    def _header(self, line: int) -> Text:
        head = Text(self.value_head if line else "")
        parts = [self._named(Text(self.corner if line else "", style=GREY), self._marked(head, self.value_head, line))]
        for column in self._visible():
            axis = self.datasets[column]
            name = Text(two_lines(axis.label.plain, self.column_width - 1)[line])
            label = _right(self._marked(name, axis.id, line), self.column_width)
            label.stylize("bold" if column == self.column or axis.id == self.sorted_by else "")
            parts.append(label)
        return Text.assemble(*parts)

    def _marked(self, name: Text, column: str, line: int) -> Text:
        """Return the lower line of a head behind the sign of the column that the rows are sorted by."""
        return Text.assemble(self.sort_mark, name) if line and self.sorted_by and column == self.sorted_by else name

    def _visible(self) -> range:
        return range(self.left, min(len(self.datasets), self.left + self.columns_shown))

    def on_resize(self, _event: events.Resize) -> None:
        """Keep the cursor in view."""
        self._settle()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is."""
        row = self.top + event.y - self.gutter.top - HEADER
        column = self.left + (event.x - self.gutter.left - self.names_width) // self.column_width
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
    if text.cell_len > width:
        text.truncate(width - 1, overflow="ellipsis")
    return Text.assemble(" " * (width - text.cell_len), text)


def two_lines(name: str, width: int) -> tuple[str, str]:
    """Return a name broken into an upper and a lower line of at most `width` cells.

    It is broken after a space or hyphen, a first word that is too long for a line within it, by a hyphen.
    """
    words = re.findall(r"[^\s-]*-|[^\s-]+\s*|\s+", name)
    if words and len(words[0].rstrip()) > width > 2:
        words[:1] = [f"{words[0][: width - 1]}-", words[0][width - 1 :]]
    upper = ""
    while words and len((upper + words[0]).rstrip()) <= width:
        upper += words.pop(0)
    if not upper and words:
        upper = words.pop(0)
    lower = "".join(words).strip()
    # A name of one line stands on the lower one, next to its column.
    return (upper.rstrip(), lower) if lower else ("", upper.rstrip())
