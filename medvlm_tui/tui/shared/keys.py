"""The keys of the place where one stands."""

from __future__ import annotations

from rich.text import Text
from textual.screen import Screen

from medvlm_tui.tui.places import PLACES
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.key_bar import key_name, place_keys
from medvlm_tui.tui.states import GREY, legend


class KeysScreen(Dialog[None]):
    """All keys that do something here, and the letters of the states."""

    def __init__(self, place: Screen[object]) -> None:
        lines = [Text("Here", style=f"bold {GREY}")]
        lines += [_line(keys, deed) for keys, deed in place_keys(place)]
        lines.append(_line("arrows hjkl", "move"))
        lines += [Text(), Text("Everywhere", style=f"bold {GREY}")]
        lines += [
            _line(f"{key_name(found.key)}, g {found.letter}", f"{found.name}: {found.purpose}") for found in PLACES
        ]
        for keys, deed in (
            ("y", "copy the command line that does the same without a screen"),
            ("ctrl+p", "palette: every command by name"),
            ("esc", "back"),
            ("q", "quit"),
        ):
            lines.append(_line(keys, deed))
        lines += [Text(), Text("States", style=f"bold {GREY}"), legend()]
        super().__init__("Keys", Text("\n").join(lines))


def _line(keys: str, deed: str) -> Text:
    return Text.assemble((f"  {keys:<14}", "bold"), deed)
