"""The footer: the keys of the place where one stands, as many as fit."""

from __future__ import annotations

from rich.text import Text
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget

# Textual's names of keys -> how they are shown; other names are shown as they are.
_GLYPHS = {
    "space": "space",
    "enter": "enter",
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "escape": "esc",
}


def key_name(key: str) -> str:
    """Return a key as people write it."""
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return _GLYPHS.get(key, key)


def place_keys(screen: Screen[object]) -> list[tuple[str, str]]:
    """Return (keys, what they do) of the focused place and its screen, most specific first, each deed once."""
    deeds: dict[str, list[str]] = {}
    for active in screen.active_bindings.values():
        if active.enabled and active.binding.show and active.binding.description:
            name = active.binding.key_display or key_name(active.binding.key)
            deeds.setdefault(active.binding.description, []).append(name)
    return [(keys[0], deed) for deed, keys in deeds.items()]


class KeyBar(Widget):
    """One line of keys; `?` tells the rest."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $panel; color: $text-muted; padding: 0 1; }
    """

    def on_mount(self) -> None:
        """Redraw whenever keys change their meaning."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.refresh())

    def render(self) -> Text:
        """Draw as many keys as fit, `?` always."""
        tail = Text.assemble(("? ", "bold"), "keys")
        room = self.content_size.width - tail.cell_len
        line = Text()
        for keys, deed in place_keys(self.screen):
            part = Text.assemble((f"{keys} ", "bold"), deed, "   ")
            if line.cell_len + part.cell_len > room:
                break
            line.append_text(part)
        return line.append_text(tail)

    def on_click(self, _event: Click) -> None:
        """Show all keys."""
        self.app.run_worker(self.app.run_action("help"))
