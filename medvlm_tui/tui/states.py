"""The state of a cell, a step, a model or a dataset: its letter, its colour, its word."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text


@dataclass(frozen=True, slots=True)
class Look:
    """Appearance of a state; the letter and the word identify it where there is no colour."""

    letter: str
    style: str
    word: str


# Names of a terminal's sixteen colours: the theme says what each looks like (`theme.py`). Hues are Okabe and Ito's,
# which colour-blind eyes tell apart, and never the only carrier of a meaning.
GREY = "white"
SKY = "bright_cyan"
ORANGE = "yellow"
GREEN = "bright_green"
RED = "red"
PINK = "magenta"
YELLOW = "bright_yellow"

LOOKS = {
    "nothing": Look("·", GREY, "nothing yet"),
    "weights_missing": Look("w", GREY, "weights missing"),
    "data_missing": Look("d", GREY, "data missing"),
    "ready": Look("r", SKY, "ready"),
    "queued": Look("q", PINK, "queued"),
    "running": Look("▒", ORANGE, "running"),
    "done": Look("✓", GREEN, "done"),
    "failed": Look("!", f"bold {RED}", "failed"),
    "stale": Look("~", YELLOW, "of other settings"),
    "skipped": Look("-", GREY, "skipped"),
    "blocked": Look("-", GREY, "blocked"),
}


def look(state: str) -> Look:
    """Return the look of a state; an unknown one is shown as nothing."""
    return LOOKS.get(state, LOOKS["nothing"])


def letter(state: str) -> Text:
    """Return the coloured letter of a state."""
    found = look(state)
    return Text(found.letter, style=found.style)


def legend() -> Text:
    """Return all letters with their words, for the help."""
    shown = [found for state, found in LOOKS.items() if state != "blocked"]
    return Text("   ").join(Text.assemble((found.letter, found.style), " ", found.word) for found in shown)
