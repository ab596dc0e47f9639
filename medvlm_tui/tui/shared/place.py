"""Base of all screens: the top line, the keys at the bottom, and drawing from the board."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.keys.named_bindings import NamedBindings
from medvlm_tui.tui.shared.key_bar import KeyBar
from medvlm_tui.tui.shared.status_bar import StatusBar
from medvlm_tui.tui.state import messages
from medvlm_tui.tui.state.selection import run_request

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp
    from medvlm_tui.tui.shared.copying import Copyable


class PlaceScreen(NamedBindings, Screen[object]):
    """A place; subclasses compose their `body` and draw themselves in `show`."""

    place = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "app.copy_selection", "copy the text that the mouse has selected", show=False)
    ]

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

    def request_here(self) -> RunRequest:
        """Return the run that makes what this screen shows."""
        selection = self.medvlm.selection
        models, datasets = tuple(sorted(selection.run_models())), tuple(sorted(selection.run_datasets()))
        return run_request(self.medvlm.request, models, datasets)

    def copies(self) -> list[Copyable]:
        """Return what can be copied here, the command line that makes it last."""
        from medvlm_tui.settings.command_line import command_line
        from medvlm_tui.tui.shared.copying import Copyable

        return [Copyable("command line", command_line(self.request_here(), self.medvlm.workspace))]

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
