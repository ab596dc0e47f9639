"""A list with a cursor: models, datasets, the queue, the scores, the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from medvlm_tui.tui.shared.pane import Pane


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list."""

    id: str
    """Empty for a heading or a remark, which the cursor passes over."""
    line: Callable[[int], Text]
    """Width in cells -> the line."""


def plain(text: Text) -> Row:
    """Return a row that the cursor passes over."""
    return Row("", lambda width: text)


def spread(left: Text, right: Text, width: int) -> Text:
    """Return one line with `left` cut to make room for `right`, which stands at the right edge."""
    room = width - right.cell_len - (1 if right.cell_len else 0)
    left = left.copy()
    left.truncate(max(0, room), overflow="ellipsis", pad=True)
    return Text.assemble(left, " " if right.cell_len else "", right)


class Rows(Pane):
    """Lines of which one, among those with an id, carries the cursor; its sign stands in the first cell."""

    DEFAULT_CSS = """
    Rows { padding: 0 1 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "end(-1)", "first", show=False),
        Binding("end", "end(1)", "last", show=False),
    ]

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, rows: Rows, row: str) -> None:
            super().__init__()
            self.rows, self.row = rows, row

        @property
        def control(self) -> Rows:
            """The list, so that handlers can name it."""
            return self.rows

    def __init__(
        self, title: str = "", widget_id: str | None = None, header: Row | None = None, follow: bool = False
    ) -> None:
        super().__init__(title, widget_id)
        self.rows: Sequence[Row] = ()
        self.cursor = -1
        self.header = header
        self.follow = follow
        """Show the last lines as they come (a log)."""
        self.note = ""
        """Stands in the frame while all rows are in view."""

    @property
    def row(self) -> str:
        """Id of the row under the cursor, empty when there is none."""
        return self.rows[self.cursor].id if 0 <= self.cursor < len(self.rows) else ""

    @property
    def shown(self) -> int:
        """Return the number of rows that fit."""
        return max(0, self.content_size.height - (1 if self.header else 0))

    def set_rows(self, rows: Sequence[Row], keep: str | None = None) -> None:
        """Show other rows; the cursor stays on the row it was on, or goes to `keep`."""
        wanted = self.row if keep is None else keep
        at_end = self.top + self.shown >= len(self.rows)
        if len(rows) != len(self.rows) and self.styles.height is not None and self.styles.height.is_auto:
            self.refresh(layout=True)
        self.rows = rows
        choices = [index for index, row in enumerate(rows) if row.id]
        same = [index for index in choices if rows[index].id == wanted]
        self.cursor = same[0] if same else choices[0] if choices else -1
        if self.follow and at_end:
            self.top = max(0, len(rows) - self.shown)
        self._settle()

    def go_to(self, row: str) -> None:
        """Put the cursor on a row without telling anybody."""
        for index, candidate in enumerate(self.rows):
            if candidate.id == row and index != self.cursor:
                self.cursor = index
                self._settle()
                return

    def action_move(self, step: int) -> None:
        """Move the cursor, or scroll where no row can carry it."""
        index = self.cursor + step
        while 0 <= index < len(self.rows) and not self.rows[index].id:
            index += step
        if self.cursor < 0 or not 0 <= index < len(self.rows):
            self.top += step
            self._settle(keep=False)
            return
        self._put(index)

    def action_page(self, step: int) -> None:
        """Move by what is shown at once."""
        for _ in range(max(1, self.shown - 1)):
            self.action_move(step)

    def action_end(self, side: int) -> None:
        """Go to the first or the last row."""
        choices = [index for index, row in enumerate(self.rows) if row.id]
        if choices:
            self._put(choices[-1 if side > 0 else 0])
        self.top = len(self.rows) if side > 0 else 0
        self._settle(keep=bool(choices) and side > 0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the content height, one line per row, for an automatic height."""
        return max(1, len(self.rows) + (1 if self.header else 0))

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self.content_size.width - 1
        if self.header is not None:
            if y == 0:
                return self.strip(Text.assemble(" ", self.header.line(width)))
            y -= 1
        index = self.top + y
        if index >= len(self.rows):
            return self.strip(Text())
        line = Text.assemble(self.cursor_mark if index == self.cursor else " ", self.rows[index].line(width))
        if index != self.cursor:
            return self.strip(line)
        line.truncate(width + 1, overflow="ellipsis", pad=True)
        return self.strip(self.on_cursor(line))

    def on_resize(self, _event: events.Resize) -> None:
        """Keep the cursor in view."""
        if self.follow:
            self.top = max(0, len(self.rows) - self.shown)
        self._settle()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is."""
        index = self.top + event.y - self.gutter.top - (1 if self.header else 0)
        if 0 <= index < len(self.rows) and self.rows[index].id:
            self._put(index)

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        """Scroll without moving the cursor."""
        self.top += 3
        self._settle(keep=False)

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        """Scroll without moving the cursor."""
        self.top -= 3
        self._settle(keep=False)

    def _put(self, index: int) -> None:
        moved = index != self.cursor
        self.cursor = index
        self._settle()
        if moved:
            self.post_message(self.Moved(self, self.row))

    def _settle(self, keep: bool = True) -> None:
        """Keep cursor and window within bounds, say where one is, and redraw."""
        if keep and self.cursor >= 0:
            # The heading above the first choice is worth a line.
            first = next((index for index, row in enumerate(self.rows) if row.id), 0)
            self.keep_visible(0 if self.cursor == first else self.cursor, self.shown)
            self.keep_visible(self.cursor, self.shown)
        self.top = max(0, min(self.top, len(self.rows) - self.shown))
        self._tell_position()
        self.refresh()

    def _tell_position(self) -> None:
        total = len(self.rows)
        hidden = total > self.shown > 0
        last = min(total, self.top + self.shown)
        self.set_title(self._title, f"{self.top + 1}-{last} of {total}" if hidden else self.note)
