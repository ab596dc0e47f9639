"""Dialogs that need an answer: the engine stopped, or the user quits during a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from rich.text import Text
from textual.binding import Binding, BindingType

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.states import GREY

Leaving = Literal["go_on", "cancel"]
"""The user's choice: let the run continue, or cancel it."""


class EngineNotice(Dialog[Literal["restart"]]):
    """The engine's process ended by itself; the answer is whether to start another one."""

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
        self.dismiss("restart")

    async def action_leave(self) -> None:
        """Quit."""
        await self.app.run_action("leave")


class QuitNotice(Dialog[Leaving]):
    """A run is under way and the user wants to leave: it goes on, unless it is cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,enter,y,ctrl+q", "answer('go_on')", "leave"),
        Binding("c", "answer('cancel')", "cancel the run and leave"),
        Binding("n", "close", "stay"),
    ]

    def __init__(self, come_back: str) -> None:
        text = Text.assemble(
            "A run is under way. It goes on without this screen.\n",
            ("Come back with  ", GREY),
            (come_back, "bold"),
        )
        super().__init__("Leave?", text, "q leave, the run goes on   c cancel it and leave   esc stay")

    def action_answer(self, leaving: Leaving) -> None:
        """Leave."""
        if self.is_current:
            self.dismiss(leaving)


class CancelNotice(Dialog[Literal["cancel"]]):
    """A step has worked for some time and the user cancels the run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c,enter", "answer", "cancel the run"),
        Binding("n", "close", "go on"),
    ]

    def __init__(self, title: str, worked_s: float) -> None:
        text = Text.assemble(
            (title, "bold"), f" has worked for {round(worked_s / 60)} min. Finished steps, blocks of features and "
            "scored masks are kept; what else this step has done so far is computed again.",
        )  # fmt: skip
        super().__init__("Cancel the run?", text, "c cancel it   esc go on")

    def action_answer(self) -> None:
        """Cancel."""
        if self.is_current:
            self.dismiss("cancel")
