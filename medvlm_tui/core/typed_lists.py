"""Lists that a person types: items between commas, quoted as in CSV where an item itself holds a comma."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import UsageError


def split_list(text: str) -> tuple[str, ...]:
    """Return the items of `a, "b,c"`: `a` and `b,c`, without blanks around them and without empty ones.

    Raises UsageError where a quote is not closed.
    """
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UsageError(
            f"{clean(text)} is no list: {error}", 'items with a comma stand in quotes: "a,b.png",c'
        ) from None
    return tuple(item.strip() for row in rows for item in row if item.strip())


def join_list(items: Iterable[object]) -> str:
    """Return the text that `split_list` reads as these items."""
    line = io.StringIO()
    csv.writer(line).writerow([str(item) for item in items])
    return line.getvalue().removesuffix("\r\n")
