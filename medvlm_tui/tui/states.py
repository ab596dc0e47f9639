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


# Okabe-Ito hues, lightened where they would drown on a dark ground; never the only carrier of a meaning.
GREY = "#8b949e"
SKY = "#56b4e9"
ORANGE = "#e69f00"
GREEN = "#3fbf8f"
RED = "#f2704e"
PINK = "#d98bb4"
YELLOW = "#e5d75a"

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
