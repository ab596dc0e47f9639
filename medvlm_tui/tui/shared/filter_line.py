"""The line one types a filter into; the input field is imported when it is first opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Container
from textual.message import Message

if TYPE_CHECKING:
    from textual.widgets import Input


class FilterLine(Container):
    """Empty and hidden until opened; says what is typed."""

    DEFAULT_CSS = """
    FilterLine { height: 1; display: none; }
    FilterLine Input, FilterLine Input:focus { border: none; height: 1; padding: 0 1; background: $panel; }
    """

    class Changed(Message):
        """The filter is another one."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Kept(Message):
        """The user is done typing."""

    async def open(self) -> None:
        """Show the field and type into it."""
        from textual.widgets import Input

        if not self.children:
            await self.mount(Input(placeholder="filter: enter keeps it, esc clears it"))
        self.display = True
        self._field().focus()

    def clear(self) -> None:
        """Empty and hide the field."""
        self.display = False
        if self.children:
            self._field().value = ""

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell what is typed."""
        event.stop()
        self.post_message(self.Changed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Leave the field; it stays in view while it filters."""
        event.stop()
        self.display = bool(event.value)
        self.post_message(self.Kept())

    def _field(self) -> Input:
        from textual.widgets import Input

        return self.query_one(Input)
