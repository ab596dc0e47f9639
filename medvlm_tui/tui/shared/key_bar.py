"""The footer: the keys of the place where one stands, as many as fit; a click on one presses it."""

from __future__ import annotations

from rich.text import Text
from textual.events import Click
from textual.widget import Widget

from medvlm_tui.tui.keys.actions import KeyAction, key_actions
from medvlm_tui.tui.shared.status_bar import TABS_FROM


class KeyBar(Widget):
    """One line of keys; `.` offers them all, `?` explains them."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $panel; color: $text-muted; padding: 0 1; }
    """
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, KeyAction]] = []
        """First and last column of what is drawn, and what it does."""

    def on_mount(self) -> None:
        """Redraw whenever keys change their meaning."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.refresh())

    def render(self) -> Text:
        """Draw as many keys as fit, the menu and the help always."""
        known = key_actions(self.screen)
        tail = [action for name in ("actions", "help") for action in known if action.action == name]
        words = {"actions": "menu", "help": "keys"}
        ends = [(action, Text.assemble((f"{action.keys[-1]} ", "bold"), words[action.action])) for action in tail]
        hint = "" if self.app.size.width >= TABS_FROM else "1-9 places   "
        room = self.content_size.width - sum(text.cell_len + 3 for _, text in ends) - len(hint)
        line, self._places, said = Text(), [], set[str]()
        for action in known:
            if not action.shown or action.everywhere or action.what in said:
                continue
            part = Text.assemble((f"{action.label or action.keys[0]} ", "bold"), action.what)
            if line.cell_len + part.cell_len + 3 > room:
                break
            said.add(action.what)
            self._put(line, part, action)
        line.append(hint)
        for action, text in ends:
            self._put(line, text, action)
        return line

    def _put(self, line: Text, part: Text, action: KeyAction) -> None:
        start = line.cell_len
        self._places.append((start, start + part.cell_len, action))
        line.append_text(part).append("   ")

    async def on_click(self, event: Click) -> None:
        """Do what the key under the pointer does."""
        column = event.get_content_offset_capture(self).x
        for start, end, action in self._places:
            if start <= column < end:
                await self.app.run_action(action.action, action.node)
                return
