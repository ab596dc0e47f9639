"""A confusion matrix as shaded numbers, rows true and columns predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.tui.states import GREY

# More classes than this do not fit beside a table; then the rows with most errors would be needed.
MOST_CLASSES = 12
_SHADES = ("#141a21", "#16303c", "#1b4a5e", "#1f6480", "#237fa3")


def confusion(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count (classes, classes) int64: how often each true class (row) was predicted as each (column)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def confusion_lines(counts: NDArray[np.int64], names: Sequence[str], letters: Sequence[str]) -> list[Text]:
    """Return the matrix, one line a true class, headed by the classes' letters; names are safe to show."""
    wide = max(3, len(str(int(counts.max(initial=0)))) + 1)
    lines = [Text("true \\ predicted".ljust(20) + "".join(letter.rjust(wide) for letter in letters), style=GREY)]
    for row, name, letter in zip(counts, names, letters, strict=True):
        label = Text(f"{letter} {name}")
        label.truncate(20, overflow="ellipsis", pad=True)
        total = max(1, int(row.sum()))
        for count in row:
            shade = _SHADES[min(len(_SHADES) - 1, int(len(_SHADES) * int(count) / total))]
            label.append(str(int(count)).rjust(wide), style=f"on {shade}")
        lines.append(label)
    return lines
