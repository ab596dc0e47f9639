"""The frame that every dialog shares."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from medvlm_tui.tui.shared.static import Static

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer], Generic[Answer]):
    """A framed text over the place below; `esc` closes it without an answer."""

    CSS_PATH = Path(__file__).with_name("dialog.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close"),
        Binding("j", "scroll_text(1)", "down", show=False),
        Binding("k", "scroll_text(-1)", "up", show=False),
    ]

    def __init__(self, title: str, text: Text, keys: str = "esc close") -> None:
        super().__init__()
        self._heading, self._text, self._keys = title, text, keys

    def compose(self) -> ComposeResult:
        """Text in a frame, its keys in the frame's lower edge."""
        with VerticalScroll(id="dialog") as frame:
            frame.border_title = Text(self._heading)
            frame.border_subtitle = Text(self._keys)
            yield Static(self._text, id="dialog-text")
            yield from self.extra()

    def extra(self) -> ComposeResult:
        """Yield what stands below the text."""
        yield from ()

    def action_close(self) -> None:
        """Close without an answer."""
        self.dismiss(None)

    def action_scroll_text(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#dialog", VerticalScroll).scroll_relative(y=lines, animate=False)
