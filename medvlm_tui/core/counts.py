"""Numbers of things as a sentence says them: "1 image", "12 images", "1,200 images"."""

from __future__ import annotations


def counted(n: int, thing: str, things: str = "") -> str:
    """Return a number and what is counted, in the singular for one; `things` is a plural that takes more than an s."""
    return f"{n:,} {verb(n, thing, things or f'{thing}s')}"


def verb(n: int, one: str, many: str) -> str:
    """Return the word that fits a number of things: "was" for 1, "were" for others."""
    return one if n == 1 else many
