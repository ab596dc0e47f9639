"""What must be answered: the engine stopped, or one wants to leave while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.binding import Binding, BindingType

from medvlm_tui.core.text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.tui.screens.dialog import Dialog
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp


class EngineNotice(Dialog[None]):
    """The engine's process ended by itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "restart", "restart"),
        Binding("q", "leave", "quit"),
    ]

    def __init__(self, error: MedvlmError, said: Sequence[str]) -> None:
        lines = [Text(clean(error.message), style="bold"), *(Text(line) for line in said), Text()]
        lines += [Text(clean(line), style=GREY) for line in error.hint.splitlines()]
        lines += [Text(), Text("What was computed is stored. A restarted engine goes on from there.")]
        keys = "r restart   q quit   esc look around without it"
        super().__init__("The engine stopped", Text("\n").join(lines), keys)

    def action_restart(self) -> None:
        """Start another engine."""
        self.dismiss(None)
        cast("MedvlmApp", self.app).restart_engine()

    async def action_leave(self) -> None:
        """Quit."""
        await self.app.run_action("leave")


class QuitNotice(Dialog[bool]):
    """A run is under way and the user wants to leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,enter,y", "sure", "quit"),
        Binding("n", "close", "stay"),
    ]

    def __init__(self) -> None:
        text = Text(
            "A run is under way. Quitting stops it here.\nWhat was computed is stored: the same run goes on from there."
        )
        super().__init__("Quit?", text, "q stop the run and quit   esc stay")

    def action_sure(self) -> None:
        """Quit."""
        self.dismiss(True)
