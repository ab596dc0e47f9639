"""A confusion matrix as shaded numbers, rows true and columns predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.text import Text

from medvlm_tui.tui.states import GREY

# More classes than this do not fit beside a table; then the rows with most errors would be needed.
MOST_CLASSES = 12
# `true \\ predicted` and a gap.
_LEAST_NAME = 18


def confusion(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count (classes, classes) int64: how often each true class (row) was predicted as each (column)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def confusion_lines(
    counts: NDArray[np.int64], names: Sequence[str], letters: Sequence[str], width: int, heat: Sequence[str]
) -> list[Text]:
    """Return the matrix, one line for each true class, headed by the classes' letters.

    Names are safe to show; they are cut where the matrix would be wider than `width` cells. `heat` holds the
    grounds from low to high, none where there is no colour for them.
    """
    wide = max(3, len(str(int(counts.max(initial=0)))) + 1)
    longest = max((cell_len(name) for name in names), default=0) + 2
    room = max(_LEAST_NAME, min(longest, width - wide * len(letters)))
    lines = [Text("true \\ predicted".ljust(room) + "".join(letter.rjust(wide) for letter in letters), style=GREY)]
    for row, name, letter in zip(counts, names, letters, strict=True):
        label = Text(f"{letter} {name}")
        label.truncate(room, overflow="ellipsis", pad=True)
        total = max(1, int(row.sum()))
        for count in row:
            step = min(len(heat) - 1, int(len(heat) * int(count) / total))
            label.append(str(int(count)).rjust(wide), style=f"on {heat[step]}" if heat else "")
        lines.append(label)
    return lines
