"""Dialogs of the settings: another value for an option, and what that hides."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import UsageError
from medvlm_tui.settings.options import typed_words
from medvlm_tui.settings.values import typed
from medvlm_tui.stages.option import Declared
from medvlm_tui.tui.shared.ask_line import AskLine
from medvlm_tui.tui.shared.dialog import Dialog


class ValueScreen(AskLine[tuple[Any]]):
    """Ask for a value; answers a tuple that holds it, so that an empty one is an answer too."""

    def __init__(self, each: Declared, value: Any) -> None:
        choices = f"\n{', '.join(each.option.choices)}" if each.option.choices else ""
        text = Text(f"{each.option.help}{choices}")
        super().__init__(each.name, text, "enter take it   esc close", typed_words(each, value), each.option.metavar)
        self._option = each

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        try:
            value = typed(self._option.name, event.value)
        except UsageError as error:
            self.say(clean(error.message))
            return
        self.dismiss((value,))


class HidesScreen(Dialog[bool]):
    """A question before a change that leaves results behind; answers True to take it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "take", "take it")]

    def __init__(self, each: Declared, now: str, results: int) -> None:
        many = f"{results:,} models on datasets have results" if results > 1 else "One model on a dataset has results"
        text = f"{many} with {each.name} {now}. They stay stored, and are marked as of other settings from now on."
        super().__init__("This asks for other results", Text(clean(text)), "enter take it   esc leave it as it is")

    def action_take(self) -> None:
        """Take the change."""
        self.dismiss(True)
