"""Small maps side by side: the grid of UMAP's settings at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.render.half_blocks import joined
from medvlm_tui.render.palette import Depth
from medvlm_tui.render.scatter import scatter

# Eight cells show `n 1000 ◆`; ten such columns fill a terminal of 80.
LEAST_WIDTH, LEAST_HEIGHT = 8, 3
# A dot of a small map hides hundreds of points: more are not seen.
_POINTS = 1500


@dataclass(frozen=True, slots=True)
class Panel:
    """One map of the grid."""

    xy: NDArray[np.floating]
    codes: NDArray[np.integer]
    titles: tuple[str, ...]
    """From long to short: the longest that fits is shown."""
    style: str = ""
    """Of the title."""


def window(count: int, room: int, least: int, current: int) -> tuple[int, int]:
    """Return (first, number) of the panels that fit in `room` cells of `least` each, the current one among them."""
    fit = max(1, min(count, room // least))
    return max(0, min(current - fit // 2, count - fit)), fit


def multiples(
    panels: Mapping[tuple[int, int], Panel], rows: int, columns: int, current: tuple[int, int],
    width: int, height: int, depth: Depth = "truecolor",
) -> Text:  # fmt: skip
    """Draw panels by (row, column) so that they fill `width` x `height` cells, as many as fit around `current`."""
    top, tall = window(rows, height, LEAST_HEIGHT, current[0])
    left, wide = window(columns, width, LEAST_WIDTH, current[1])
    lines: list[Text] = []
    for row in range(top, top + tall):
        high = height // tall
        drawn = [_panel(panels.get((row, left + index)), width // wide, high, depth) for index in range(wide)]
        lines += [_beside([panel[line] for panel in drawn]) for line in range(high)]
    return joined(lines)


def _panel(panel: Panel | None, width: int, height: int, depth: Depth) -> list[Text]:
    """Return `height` lines of `width` cells: a title, then the map with a blank column at its right."""
    blank = Text(" " * width, end="")
    if panel is None:
        return [blank] * height
    title = next((title for title in panel.titles if len(title) < width), panel.titles[-1][: width - 1])
    head = Text(title.ljust(width), end="")
    head.stylize(panel.style, 0, len(title))
    view = scatter(panel.xy, panel.codes, width - 1, height - 1, depth, letters=False, max_points=_POINTS)
    lines = list(view.text.split("\n", allow_blank=True))
    return [head, *(_beside([line, Text(" ")]) for line in lines)]


def _beside(parts: Sequence[Text]) -> Text:
    return Text("", end="").join(parts)
