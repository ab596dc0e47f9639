"""Letters of classes: a, b, ... z, aa, ab, ...; the same on every screen."""

from __future__ import annotations


def class_letters(count: int) -> list[str]:
    """Return the letters of `count` classes."""
    return [_letters(index) for index in range(count)]


def _letters(index: int) -> str:
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
