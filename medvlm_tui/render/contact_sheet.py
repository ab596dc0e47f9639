"""Framed pictures in rows and columns, as many as fit, one of them under a cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from medvlm_tui.render.half_blocks import joined

_LIGHT, _HEAVY = ("╭─╮", "│ │", "╰─╯"), ("┏━┓", "┃ ┃", "┗━┛")
_CURSOR = "bold reverse"
_LEAST_LINES = 5
"""Lines of a tile with its frame, below which nothing is recognised."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture with its name."""

    title: str
    """Safe to show."""
    style: str
    """Of the frame."""
    picture: Text
    """Empty while it is not drawn yet."""
    strong: bool = False
    """The frame has heavy lines, which are seen without colour too."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Tiles of one size, and the first of the rows that are shown."""

    count: int
    columns: int
    wide: int
    """Cells of a tile with its frame."""
    tall: int
    rows: int = 1
    """Rows that are shown."""
    top: int = 0
    """First row that is shown."""

    @classmethod
    def fitting(cls, count: int, width: int, height: int, least: int, at: int) -> Sheet:
        """Return the sheet of the largest square pictures that all fit, or of tiles of `least` cells of width with the
        one at `at` in view."""
        columns = max(1, width // least)
        for fewer in range(1, columns + 1):
            rows = -(-count // fewer)
            if rows * _tall(width // fewer, height) <= height:
                columns = fewer
                break
        wide = width // columns
        tall = _tall(wide, height)
        rows = max(1, height // tall)
        total = -(-count // columns)
        top = max(0, min(at // columns - rows // 2, total - rows))
        return cls(count, columns, wide, tall, rows, top)

    @property
    def inside(self) -> tuple[int, int]:
        """Width and height of a tile's picture."""
        return self.wide - 2, self.tall - 2

    @property
    def shown(self) -> range:
        """The tiles that are shown."""
        return range(self.top * self.columns, min(self.count, (self.top + self.rows) * self.columns))

    @property
    def where(self) -> str:
        """Return which of the tiles are in view, empty where all are."""
        return "" if len(self.shown) == self.count else f"{self.shown.start + 1}-{self.shown.stop} of {self.count}"

    def text(self, tiles: Mapping[int, Tile]) -> Text:
        """Return the lines of all tiles that are shown."""
        lines: list[Text] = []
        for first in range(self.shown.start, self.shown.stop, self.columns):
            row = [self._framed(tiles[at]) for at in range(first, min(first + self.columns, self.shown.stop))]
            lines += [Text("", end="").join(parts) for parts in zip(*row, strict=True)]
        return joined(lines)

    def with_cursor(self, at: int, y: int, line: Text) -> Text:
        """Return line `y` of the sheet with the frame of the tile under the cursor marked."""
        if at not in self.shown:
            return line
        row, column = divmod(at - self.shown.start, self.columns)
        left, inner = column * self.wide, y - row * self.tall
        if not 0 <= inner < self.tall:
            return line
        right = left + self.wide
        edge = inner in (0, self.tall - 1)
        marked = line.copy()
        for start, end in ((left, right),) if edge else ((left, left + 1), (right - 1, right)):
            marked.stylize(_CURSOR, start, end)
        return marked

    def _framed(self, tile: Tile) -> list[Text]:
        (top, side, bottom), (width, height) = _HEAVY if tile.strong else _LIGHT, self.inside
        title = f" {tile.title} "
        title = title if cell_len(title) <= width else set_cell_size(title, max(0, width - 1)) + "…"
        head = f"{top[0]}{title}{top[1] * (width - cell_len(title))}{top[2]}"
        drawn = list(tile.picture.split("\n", allow_blank=True)) if tile.picture.plain else []
        above = (height - len(drawn)) // 2
        lines = [Text(head, style=tile.style, end="")]
        for number in range(height):
            at = number - above
            inner = drawn[at] if 0 <= at < len(drawn) else Text("", end="")
            left = (width - inner.cell_len) // 2
            right = width - inner.cell_len - left
            lines.append(
                Text.assemble((side[0] + " " * left, tile.style), inner, (" " * right + side[2], tile.style), end="")
            )
        return [*lines, Text(f"{bottom[0]}{bottom[1] * width}{bottom[2]}", style=tile.style, end="")]


def _tall(wide: int, height: int) -> int:
    """Return the lines of a tile whose picture is square, no more than there are."""
    return max(min(_LEAST_LINES, height), min(height, (wide - 2 + 1) // 2 + 2))
