"""A scatter whose points are larger where there are fewer: cells, half blocks, or two by four braille dots per cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.render.half_blocks import joined, runs
from medvlm_tui.render.palette import Depth, class_colours, class_letters, colourless, grey

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
MAX_POINTS = 5000
_BRAILLE = 0x2800
POINT, _UPPER, _LOWER = "●", "▀", "▄"
# Points in view up to which each takes a cell, and half of one; where so many would cover the frame, the next smaller.
CELL_POINTS, HALF_POINTS = 400, 2000
_COVERED = 0.25
Size = Literal["cell", "half", "dot", "density"]
# From few points of a cell to many; the class with most of them gives the colour.
_DENSITIES = "░▒▓█"
# Cells that a tag may lie away from its place: further, it would not be read as the name of those points.
_TAG_REACH = 24
# Bit of the dot at (row, column) of a cell, as Unicode numbers them.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The part of the plane that is shown."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def of(cls, xy: Floats) -> Bounds:
        """Return the smallest bounds around the finite points (n, 2)."""
        finite = xy[np.isfinite(xy).all(axis=1)]
        if len(finite) == 0:
            return cls(0.0, 1.0, 0.0, 1.0)
        (left, bottom), (right, top) = finite.min(axis=0).tolist(), finite.max(axis=0).tolist()
        return cls(left, right, bottom, top)

    def zoomed(self, factor: float, x: float, y: float) -> Bounds:
        """Return bounds `factor` times as narrow with (x, y) at their centre."""
        half_x, half_y = (self.right - self.left) / factor / 2, (self.top - self.bottom) / factor / 2
        return Bounds(x - half_x, x + half_x, y - half_y, y + half_y)

    def moved(self, across: float, up: float) -> Bounds:
        """Return bounds moved by these shares of their width and height."""
        x, y = across * (self.right - self.left), up * (self.top - self.bottom)
        return Bounds(self.left + x, self.right + x, self.bottom + y, self.top + y)

    def holds(self, x: float, y: float) -> bool:
        """Return whether a point lies in the view."""
        return self.left <= x <= self.right and self.bottom <= y <= self.top


@dataclass(frozen=True, slots=True)
class Tag:
    """Words at a place, in the colour of a class."""

    x: float
    y: float
    words: str
    code: int


@dataclass(frozen=True, slots=True)
class ScatterView:
    """A drawn scatter."""

    text: Text
    shown: int
    """Points drawn."""
    total: int
    """Points inside the bounds."""

    @property
    def note(self) -> str:
        """Return what was left out, in words; empty when every point is drawn."""
        if self.shown == self.total:
            return ""
        return f"{self.shown:,} of {self.total:,} points drawn, the same share of every class"


def scatter(
    xy: Floats,
    codes: Ints,
    width: int,
    height: int,
    depth: Depth = "truecolor",
    focus: int | None = None,
    bounds: Bounds | None = None,
    tags: Sequence[Tag] = (),
    letters: bool = True,
    max_points: int = MAX_POINTS,
    density: bool = False,
) -> ScatterView:
    """Draw points (n, 2) of classes `codes` (n,) so that they fill `width` x `height` cells exactly.

    `focus` is one class against the grey of all others. A cell takes the colour of the class with most points in
    it; without colour it shows that class's letter. Each class's letter stands at its middle point unless
    `letters` is off. `tags` stand beside their places where nothing is drawn; those without such room are left out.
    With `density` every point counts, and a cell's shade says how many it holds, by powers of their largest number.
    """
    bounds = bounds or Bounds.of(xy)
    shown = np.flatnonzero(inside(xy, bounds))
    rows = shown if density else shown[stratified(codes[shown], max_points)]
    size: Size = "density" if density else point_size(len(rows), width, height)
    canvas = _Canvas(width, height, int(codes.max(initial=0)) + 1, depth, focus, size)
    dots = cells_of(xy[rows], bounds, width, height, dots=True)
    canvas.add(dots, codes[rows])
    if letters:
        canvas.add_letters(dots, codes[rows])
    for tag in tags:
        if bounds.holds(tag.x, tag.y):
            row, column = cells_of(np.array([[tag.x, tag.y]]), bounds, width, height)[0].tolist()
            canvas.write_beside(row, column, tag)
    return ScatterView(canvas.text(), len(rows), len(shown))


def point_size(points: int, width: int, height: int) -> Size:
    """Return how large points are drawn: the fewer, the larger, while they cover at most a quarter of the frame."""
    if points <= CELL_POINTS and points <= _COVERED * width * height:
        return "cell"
    return "half" if points <= HALF_POINTS and points <= 2 * _COVERED * width * height else "dot"


def with_cross(line: Text, column: int) -> Text:
    """Return a drawn line with the cursor's cross at a cell."""
    before, after = line[:column], line[column + 1 :]
    return Text.assemble(before, ("✛", "bold reverse"), after, no_wrap=True, end="")


def stratified(codes: Ints, most: int) -> NDArray[np.intp]:
    """Return sorted indices of at most about `most` points, every class keeping its share and one point at least."""
    if len(codes) <= most:
        return np.arange(len(codes))
    kept = []
    for code in np.unique(codes):
        members = np.flatnonzero(codes == code)
        count = max(1, int(len(members) * most / len(codes)))
        # Evenly spaced in the given order: the same points at every call, without a random state.
        kept.append(members[np.arange(count) * len(members) // count])
    return np.sort(np.concatenate(kept))


def legend(names: Sequence[str], counts: Sequence[int], depth: Depth = "truecolor", focus: int | None = None) -> Text:
    """Return `a glioma 826   b ...` in the classes' colours."""
    line = Text(end="")
    shades = _colours(len(names), depth, focus)
    for letter, name, count, colour in zip(class_letters(len(names)), names, counts, shades, strict=True):
        line.append("   " if line.plain else "")
        line.append(letter, f"bold {colour}".strip())
        line.append(f" {name} {count:,}", colour)
    return line


def _colours(count: int, depth: Depth, focus: int | None) -> list[str]:
    own = class_colours(count, depth)
    return [colour if focus in (None, index) else grey(depth) for index, colour in enumerate(own)]


def inside(xy: Floats, bounds: Bounds) -> NDArray[np.bool_]:
    """Return for each point (n, 2) whether it lies in the view."""
    x, y = xy[:, 0], xy[:, 1]
    return np.asarray((x >= bounds.left) & (x <= bounds.right) & (y >= bounds.bottom) & (y <= bounds.top))


def cells_of(xy: Floats, bounds: Bounds, width: int, height: int, dots: bool = False) -> NDArray[np.intp]:
    """Return (n, 2) rows and columns of cells, or of dots; the outermost points fall on the outermost ones."""
    across = (xy[:, 0] - bounds.left) / ((bounds.right - bounds.left) or 1.0)
    down = (bounds.top - xy[:, 1]) / ((bounds.top - bounds.bottom) or 1.0)
    rows = np.rint(down * (4 * height - 1))
    columns = np.rint(across * (2 * width - 1))
    places = np.stack([rows, columns], axis=1).astype(np.intp)
    return places if dots else places // np.array([4, 2])


class _Canvas:
    """Cells that collect dots and, for each, how many points of each class fall on them."""

    def __init__(
        self, width: int, height: int, classes: int, depth: Depth, focus: int | None, size: Size = "dot"
    ) -> None:
        self.depth, self.focus, self.classes, self.size = depth, focus, classes, size
        self.bits = np.zeros((height, width), dtype=np.uint8)
        self.counts = np.zeros((2 * height, width, classes), dtype=np.int32)
        """Of each half of a cell, the upper one first."""
        self.written: dict[tuple[int, int], tuple[str, int]] = {}
        """(row, column) -> (character, class) of what stands over the dots."""
        self.names = class_letters(classes)

    def add(self, dots: NDArray[np.intp], codes: Ints) -> None:
        """Set a dot a point."""
        rows, columns = dots[:, 0], dots[:, 1]
        np.bitwise_or.at(self.bits, (rows // 4, columns // 2), _DOTS[rows % 4, columns % 2])
        np.add.at(self.counts, (rows // 2, columns // 2, codes), 1)

    def add_letters(self, dots: NDArray[np.intp], codes: Ints) -> None:
        """Put each class's letter on its middle point."""
        for code in np.unique(codes).tolist():
            own = dots[codes == code]
            middle = np.median(own, axis=0)
            row, column = own[np.abs(own - middle).sum(axis=1).argmin()].tolist()
            self.written[row // 4, column // 2] = (self.names[code], code)

    def write_beside(self, row: int, column: int, tag: Tag) -> None:
        """Put words at the nearest place to a cell where nothing is drawn or written; where there is none, nowhere."""
        free = ~self._occupied()
        width = free.shape[1]
        length = len(tag.words)
        if length + 2 > width:
            return
        # Free from one cell before the words to one behind them; beyond the frame counts as free.
        sums = np.cumsum(np.pad(free, ((0, 0), (2, 1)), constant_values=True), axis=1, dtype=np.int64)
        starts = sums[:, length + 2 :] - sums[:, : -(length + 2)] == length + 2
        rows, lefts = np.nonzero(starts[:, : width - length + 1])
        across = np.maximum(0, np.maximum(lefts - column, column - (lefts + length - 1)))
        away = 2 * np.abs(rows - row) + across
        if len(away) and away.min() <= _TAG_REACH:
            nearest = int(np.lexsort((np.abs(lefts + length // 2 - column), np.abs(rows - row), away))[0])
            cells = [(int(rows[nearest]), int(lefts[nearest]) + offset) for offset in range(length)]
            self.written.update((cell, (letter, tag.code)) for cell, letter in zip(cells, tag.words, strict=True))

    def _occupied(self) -> NDArray[np.bool_]:
        """Return the cells (height, width) on which something is drawn or written."""
        occupied = self.bits > 0
        for row, column in self.written:
            occupied[row, column] = True
        return occupied

    @cached_property
    def _levels(self) -> NDArray[np.intp]:
        """The shade of each cell (height, width), -1 where there is no point: even steps of the logarithm."""
        counts = self.counts.reshape(len(self.bits), 2, -1, self.classes).sum(axis=(1, 3))
        share = np.log1p(counts) / max(float(np.log1p(counts.max(initial=0))), 1e-9)
        steps = np.minimum((share * len(_DENSITIES)).astype(np.intp), len(_DENSITIES) - 1)
        return np.where(counts > 0, steps, -1)

    def text(self) -> Text:
        """Return the lines."""
        counts = self.counts
        if self.focus is not None and 0 <= self.focus < self.classes:
            # The class in focus colours every cell that it reaches.
            counts = counts.copy()
            counts[..., self.focus] *= 1 << 20
        halves = counts.reshape(len(self.bits), 2, -1, self.classes)
        winner = np.where(self.bits > 0, halves.sum(axis=1).argmax(axis=2), -1)
        upper, lower = (np.where(half.any(axis=2), half.argmax(axis=2), -1) for half in halves.swapaxes(0, 1))
        colours = [*_colours(self.classes, self.depth, self.focus), ""]
        return joined([
            self._line(row, winner[row].tolist(), (upper[row].tolist(), lower[row].tolist()), colours)
            for row in range(len(winner))
        ])  # fmt: skip

    def _line(self, row: int, winners: list[int], halves: tuple[list[int], list[int]], colours: list[str]) -> Text:
        styles = [colours[code] for code in winners]
        if colourless(self.depth):
            names = [*self.names, " "]
            cells = [names[code] if self.focus in (None, code) or code < 0 else "·" for code in winners]
        elif self.size == "cell":
            cells = [POINT if code >= 0 else " " for code in winners]
        elif self.size == "density":
            cells = [_DENSITIES[level] if level >= 0 else " " for level in self._levels[row].tolist()]
        elif self.size == "half":
            cells = [_half(up, low) for up, low in zip(*halves, strict=True)]
            styles = [_half_style(up, low, colours) for up, low in zip(*halves, strict=True)]
        else:
            # An empty cell is a space, not a blank braille pattern, which some fonts draw as eight rings.
            cells = [chr(_BRAILLE + bits) if bits else " " for bits in self.bits[row].tolist()]
        for (at, column), (character, code) in self.written.items():
            if at == row:
                cells[column], styles[column] = character, f"bold {colours[code]}".strip()
        return runs("".join(cells), styles)


def _half(upper: int, lower: int) -> str:
    return _UPPER if upper >= 0 else _LOWER if lower >= 0 else " "


def _half_style(upper: int, lower: int, colours: list[str]) -> str:
    if upper >= 0 and lower >= 0:
        return f"{colours[upper]} on {colours[lower]}"
    return colours[max(upper, lower)]
