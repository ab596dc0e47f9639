"""The colours of the screens: three themes, each looked at, and what the names of colours mean under them.

Text is styled with sixteen names (`states.py`, `render/palette.py`); a theme says what each name looks like. A terminal
of sixteen colours gets the nearest of its own that are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

# Text: 4.5 on every ground of the theme, the cursor's too, where `contrast.readable` lightens or darkens it.
# The order of the names: black, red, green, yellow, blue, magenta, cyan, white, then the bright ones.


@dataclass(frozen=True, slots=True)
class Look:
    """A theme with the meaning of the sixteen names, and the grounds behind ranked numbers."""

    theme: Theme
    names: TerminalTheme
    heat: tuple[str, ...]
    """Grounds from low to high; text is read on each."""


DARK = Look(
    Theme(
        name="medvlm-dark", primary="#56b4e9", secondary="#e69f00", accent="#56b4e9", success="#3fbf8f",
        warning="#e69f00", error="#f2704e", foreground="#d7dde5", background="#0f1318", surface="#141a21",
        panel="#1a2129", dark=True,
    ),
    TerminalTheme(
        (15, 19, 24), (215, 221, 229),
        [(15, 19, 24), (242, 112, 78), (0, 168, 122), (230, 159, 0), (62, 156, 225), (214, 137, 178), (86, 180, 233),
         (160, 169, 179)],
        [(108, 116, 125), (233, 117, 30), (63, 191, 143), (240, 228, 66), (62, 156, 225), (214, 137, 178),
         (86, 180, 233), (255, 255, 255)],
    ),
    ("#0f1318", "#122130", "#153048", "#184060", "#1b5077"),
)  # fmt: skip
LIGHT = Look(
    Theme(
        name="medvlm-light", primary="#0b5f9e", secondary="#8a5300", accent="#0b5f9e", success="#0b6b47",
        warning="#8a5300", error="#b3261e", foreground="#1c2128", background="#fafafa", surface="#f2f3f5",
        panel="#e6e9ed", dark=False,
        variables={"panel-lighten-2": "#8d96a0"},  # frames without the keys: a lighter panel is white on white
    ),
    TerminalTheme(
        (250, 250, 250), (28, 33, 40),
        [(28, 33, 40), (179, 38, 30), (0, 107, 78), (138, 83, 0), (31, 95, 168), (154, 52, 110), (0, 105, 150),
         (84, 92, 102)],
        [(125, 132, 140), (168, 67, 0), (11, 107, 71), (107, 93, 0), (31, 95, 168), (154, 52, 110), (0, 105, 150),
         (0, 0, 0)],
    ),
    ("#fafafa", "#e3eef7", "#c9e0f2", "#aed1ec", "#92c1e5"),
)  # fmt: skip
CONTRAST = Look(
    Theme(
        name="medvlm-contrast", primary="#ffe45c", secondary="#ffb733", accent="#ffe45c", success="#5fe0a8",
        warning="#ffb733", error="#ff8a70", foreground="#ffffff", background="#000000", surface="#000000",
        panel="#141414", dark=True,
    ),
    TerminalTheme(
        (0, 0, 0), (255, 255, 255),
        [(0, 0, 0), (255, 138, 112), (79, 220, 168), (255, 183, 51), (124, 192, 255), (255, 170, 216), (127, 212, 255),
         (214, 214, 214)],
        [(150, 150, 150), (255, 154, 92), (95, 224, 168), (255, 242, 122), (124, 192, 255), (255, 170, 216),
         (127, 212, 255), (255, 255, 255)],
    ),
    ("#000000", "#10263a", "#123a5c", "#134b78", "#155d95"),
)  # fmt: skip
LOOKS = {look.theme.name: look for look in (DARK, LIGHT, CONTRAST)}

# Of the sixteen that such a terminal has (170 and 85 are their steps), those that are read on black and on white.
SIXTEEN_DARK = TerminalTheme(
    (0, 0, 0), (170, 170, 170),
    [(0, 0, 0), (255, 85, 85), (0, 170, 0), (170, 85, 0), (85, 85, 255), (255, 85, 255), (85, 255, 255),
     (170, 170, 170)],
    [(85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85), (85, 85, 255), (255, 85, 255), (85, 255, 255),
     (255, 255, 255)],
)  # fmt: skip
SIXTEEN_LIGHT = TerminalTheme(
    (255, 255, 255), (0, 0, 0),
    [(0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170), (85, 85, 85)],
    [(170, 170, 170), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170), (0, 0, 0)],
)  # fmt: skip


def names_of(theme: str, color_system: str | None) -> TerminalTheme:
    """Return what the sixteen names mean under a theme in a terminal of Rich's `color_system`."""
    look = LOOKS.get(theme, DARK)
    if color_system in ("standard", "windows"):
        return SIXTEEN_DARK if look.theme.dark else SIXTEEN_LIGHT
    return look.names
