"""A pane of sentences, wrapped for its width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rich.text import Text
from textual import events

from medvlm_tui.tui.shared.rows import Row, Rows, plain


class Told(Rows):
    """Sentences about the row under the cursor of another pane."""

    def __init__(self, widget_id: str) -> None:
        super().__init__(widget_id=widget_id)
        self._lines: tuple[Text, ...] = ()

    @property
    def _room(self) -> int:
        """Cells of a line beside the cursor's sign."""
        return self.content_size.width - 1

    def tell(self, title: str, lines: Iterable[Text]) -> None:
        """Show other sentences."""
        self._lines = tuple(lines)
        self.set_title(title)
        self.set_rows(wrapped(self._lines, self._room))

    def on_resize(self, event: events.Resize) -> None:
        """Wrap for the new width."""
        self.set_rows(wrapped(self._lines, self._room))
        super().on_resize(event)


def wrapped(lines: Iterable[Text], width: int) -> list[Row]:
    """Return rows of texts that are as wide as there is room."""
    rows = []
    for line in lines:
        parts = textwrap.wrap(line.plain, max(20, width), break_on_hyphens=False) or [""]
        rows += [plain(Text(part, style=line.style)) for part in parts]
    return rows
