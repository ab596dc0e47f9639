"""The screens in ASCII: every line that is drawn goes through one table, frames, marks, bars and pictures alike."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import color
from textual.filter import LineFilter

HALF_BLOCK = "▀"
_MARKS = {
    "±": "+", "×": "x", "·": ".", "…": ".", "–": "-", "—": "-", "†": "^", "★": "*", "✓": "v", "✗": "x", "≠": "!",
    "≈": "~", "≤": "<", "≥": ">", "→": ">", "←": "<", "↑": "^", "↓": "v", "▲": "^", "▼": "v", "▸": ">", "▶": ">",
    "›": ">", "‹": "<", "●": "o", "○": "o", "•": "*", "◆": "#", "✛": "+", "━": "-", "─": "-", "═": "-", "│": "|",
    "┃": "|", "║": "|", "░": ".", "▒": ":", "▓": "%", "█": "#", "−": "-", "’": "'", "“": '"', "”": '"',
}  # fmt: skip
# Bars of eighths, from left and from below.
_MARKS |= dict(zip("▏▎▍▌▋▊▉", "---####", strict=True)) | dict(zip("▁▂▃▄▅▆▇", "__.-=+*", strict=True))
_DOTS = " ..::**##"
"""Look of a cell of braille by its number of dots."""


class PlainCharacters(LineFilter):
    """Replaces what is not ASCII by something of the same width that is."""

    def apply(self, segments: list[Segment], background: color.Color) -> list[Segment]:
        """Return the line in ASCII; a half block becomes a cell of its two colours' mean."""
        return [part for segment in segments for part in _plain(segment)]


def _plain(segment: Segment) -> list[Segment]:
    text, style, control = segment
    if control or text.isascii():
        return [segment]
    if style is not None and set(text) == {HALF_BLOCK} and style.color and style.bgcolor:
        return [Segment(" " * len(text), _mean(style))]
    return [Segment("".join(map(plain_character, text)), style)]


def _mean(style: Style) -> Style:
    """Return the style of a blank cell that has the mean of the upper and the lower colour."""
    assert style.color is not None
    assert style.bgcolor is not None
    upper, lower = style.color.get_truecolor(), style.bgcolor.get_truecolor(foreground=False)
    mean = ((a + b) // 2 for a, b in zip(upper, lower, strict=True))
    return Style.from_meta(style.meta) + Style(bgcolor=Color.from_rgb(*mean))


@lru_cache(4096)
def plain_character(character: str) -> str:
    """Return ASCII of the width of one character: its mark, its letter without accents, else a question mark."""
    if character.isascii():
        return character
    if character in _MARKS:
        return _MARKS[character]
    code = ord(character)
    if 0x2500 <= code < 0x2580:  # corners and crossings of frames
        return "+"
    if 0x2580 <= code < 0x25A0:
        return "#"
    if 0x2800 <= code < 0x2900:
        return _DOTS[(code - 0x2800).bit_count()]
    width = cell_len(character)
    letter = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letter if len(letter) == width else "?" * width
