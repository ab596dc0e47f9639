"""A dialog that asks for one line of text."""

from __future__ import annotations

from typing import Generic

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean_lines
from medvlm_tui.tui.shared.dialog import Answer, Dialog
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.states import look


class AskLine(Dialog[Answer], Generic[Answer]):
    """A line to type in, and below it room for what is wrong with it; subclasses answer when it is submitted."""

    AUTO_FOCUS = "Input"

    def __init__(self, title: str, text: Text, keys: str, value: str = "", placeholder: str = "") -> None:
        super().__init__(title, text, keys)
        self._value, self._placeholder = value, placeholder

    def extra(self) -> ComposeResult:
        """The line and the room below it."""
        yield Input(self._value, placeholder=self._placeholder, id="data-input")
        yield Static(id="data-problem")

    def say(self, words: str, style: str = look("failed").style) -> None:
        """Show words below the line, made safe; by default as what is wrong with it."""
        self.query_one("#data-problem", Static).update(Text(clean_lines(words), style=style))
