"""Every key that does something where one stands, hidden ones too; what is typed narrows the list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from medvlm_tui.tui.keys.actions import KeyAction, key_actions
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.states import GREY, legend

_KEYS_WIDTH = 18
_IDS_FROM = 120
"""Columns from which the ids of the settings file are shown."""
_IDS_END = 98


class KeysScreen(Dialog[None]):
    """All keys of the place below and of the program, with the ids that the settings file knows them by."""

    AUTO_FOCUS = "Input"

    def __init__(self, place: Screen[object]) -> None:
        # The screen's own first, then how one moves in the focused list.
        known = list(merged(sorted(key_actions(place), key=lambda action: action.node is not place)))
        self._sections = (
            ("Here", [action for action in known if not action.everywhere]),
            ("Everywhere", [action for action in known if action.everywhere]),
        )
        super().__init__("Keys", Text(), "type to search   ↑ ↓ scroll   esc close")

    def extra(self) -> ComposeResult:
        """A line to search in, docked at the top."""
        yield Input(placeholder="search: sort, zoom, png ...", id="keys-search")

    def on_mount(self) -> None:
        """Show everything first."""
        self._write("")

    @on(Input.Changed)
    def _searched(self, event: Input.Changed) -> None:
        self._write(event.value)

    def _write(self, typed: str) -> None:
        wanted = typed.lower().split()
        lines = [] if wanted else [legend(), Text()]
        for title, actions in self._sections:
            found = [action for action in actions if all(word in _said(action) for word in wanted)]
            if found:
                ids = self.app.size.width >= _IDS_FROM
                lines += [Text(title, style=f"bold {GREY}"), *(_line(action, ids) for action in found), Text()]
        if not lines:
            lines = [Text("no key does that here; ctrl+p knows the actions of every place", style=GREY), Text()]
        self.query_one("#dialog-text", Static).update(Text("\n").join(lines))


def merged(actions: Iterable[KeyAction]) -> Iterator[KeyAction]:
    """Yield the actions, those of one description as one: an arrow a direction is one line."""
    by_what: dict[tuple[str, bool], list[KeyAction]] = {}
    for action in actions:
        by_what.setdefault((action.what, action.everywhere), []).append(action)
    for same in by_what.values():
        yield replace(same[0], keys=tuple(dict.fromkeys(key for action in same for key in action.keys)))


def _said(action: KeyAction) -> str:
    return f"{action.key_list} {action.what} {action.id}".lower()


def _line(action: KeyAction, with_id: bool) -> Text:
    keys = f"  {action.key_list}"
    line = Text.assemble((f"{keys:<{_KEYS_WIDTH}} ", "bold"), action.what)
    if with_id:
        line.append(f"  {action.id:>{_IDS_END - line.cell_len}}", GREY)
    return line
