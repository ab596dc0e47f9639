"""Numbers of things as a sentence says them: "1 image", "12 images", "1,200 images"."""

from __future__ import annotations


def counted(n: int, thing: str, things: str = "") -> str:
    """Return a number and what is counted, in the singular for one; `things` is a plural that takes more than an s."""
    return f"{n:,} {verb(n, thing, things or f'{thing}s')}"


def verb(n: int, one: str, many: str) -> str:
    """Return the word that fits a number of things: "was" for 1, "were" for others."""
    return one if n == 1 else many


def byte_count(size_bytes: int) -> str:
    """Return a number of bytes in its largest unit up to GB, a kB being 1000 bytes: "1.3 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"
