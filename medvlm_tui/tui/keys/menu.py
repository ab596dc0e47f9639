"""The menu of everything that can be done with what is under the cursor; the action's own key runs it too."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Click, Key
from textual.screen import Screen

from medvlm_tui.tui.keys.actions import KeyAction, key_actions
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.rows import Row, Rows

_OWN = ("up", "down", "j", "k", "enter", "escape", "home", "end", "pageup", "pagedown")
_MOVES = ("up", "down", "left", "right", "page up", "page down", "first", "last", "walk", "next pane", "previous pane")


class ActionMenu(Dialog[KeyAction]):
    """The actions of the place below; answers the one to do."""

    AUTO_FOCUS = "Rows"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "do it")]

    def __init__(self, place: Screen[object]) -> None:
        self._offered = {
            action.id: action
            for action in key_actions(place)
            if not action.everywhere and action.what not in _MOVES and action.action not in ("app.back", "leave")
        }
        super().__init__("Actions", Text(), "enter or its key does it   esc close")

    def extra(self) -> ComposeResult:
        """A list to choose from."""
        yield Rows("", widget_id="action-list")

    def on_mount(self) -> None:
        """Fill the list once."""
        rows = [Row(name, partial(_line, action)) for name, action in self._offered.items()]
        self.query_one(Rows).set_rows(rows)
        self.query_one(Rows).styles.height = min(len(rows), max(4, self.app.size.height - 8))

    def on_key(self, event: Key) -> None:
        """Take the key of an action as its choice."""
        found = next((action for action in self._offered.values() if event.key in action.raw), None)
        if found is not None and event.key not in _OWN:
            event.stop()
            event.prevent_default()
            self.dismiss(found)

    def on_click(self, event: Click) -> None:
        """A second click on a line does it."""
        if event.chain > 1:
            self.action_choose()

    def action_choose(self) -> None:
        """Do what is under the cursor."""
        found = self._offered.get(self.query_one(Rows).row)
        if found is not None and self.is_current:
            self.dismiss(found)


def _line(action: KeyAction, _width: int) -> Text:
    return Text.assemble((f"{action.key_list:<14} ", "bold"), action.what)
