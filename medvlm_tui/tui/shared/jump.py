"""After `g`: the letter of a place."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.screen import ModalScreen

from medvlm_tui.tui.places import PLACES
from medvlm_tui.tui.shared.static import Static


class JumpScreen(ModalScreen[str]):
    """One line at the bottom; any other key closes it."""

    CSS_PATH = Path(__file__).with_name("dialog.tcss")

    def compose(self) -> ComposeResult:
        """Name the places with their letters."""
        parts = [Text.assemble((f"{place.letter} ", "bold"), place.name) for place in PLACES]
        yield Static(
            Text.assemble(
                ("g ", "bold"),
                "go to   ",
                Text("   ").join(parts),
            ),
            id="jump",
        )

    def on_key(self, event: Key) -> None:
        """Answer with the place of the letter."""
        event.stop()
        event.prevent_default()
        self.dismiss(next((place.name for place in PLACES if place.letter == event.key), ""))
