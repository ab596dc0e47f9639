"""Base of all screens: the top line, the keys at the bottom, and drawing from the board."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen

from medvlm_tui.tui.shared.key_bar import KeyBar
from medvlm_tui.tui.shared.status_bar import StatusBar
from medvlm_tui.tui.state import messages

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp


class PlaceScreen(Screen[object]):
    """A place; subclasses compose their `body` and draw themselves in `show`."""

    place = ""

    @property
    def medvlm(self) -> MedvlmApp:
        """The app, typed."""
        return cast("MedvlmApp", self.app)

    def compose(self) -> ComposeResult:
        """Frame the body."""
        yield StatusBar()
        yield from self.body()
        yield KeyBar()

    def body(self) -> ComposeResult:
        """Yield the place's own widgets."""
        yield from ()

    def show(self) -> None:
        """Draw everything from the board."""

    def on_screen_resume(self) -> None:
        """Refresh: events that arrived while another screen was active were not delivered here."""
        self.update()

    def update(self) -> None:
        """Draw everything, the top line too."""
        self.query_one(StatusBar).refresh()
        self.show()

    @on(messages.SurveyArrived)
    @on(messages.PlanArrived)
    @on(messages.StepChanged)
    @on(messages.RunChanged)
    @on(messages.RunEnded)
    @on(messages.EngineGone)
    def _changed(self) -> None:
        self.update()
