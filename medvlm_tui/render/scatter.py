"""A scatter in braille: two by four dots a cell, classes by colour and by letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.render.half_blocks import joined, runs
from medvlm_tui.render.palette import Depth, class_colours, class_letters, grey

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
MAX_POINTS = 5000
_BRAILLE = 0x2800
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
) -> ScatterView:
    """Draw points (n, 2) of classes `codes` (n,) so that they fill `width` x `height` cells exactly.

    `focus` is one class against the grey of all others. A cell takes the colour of the class with most points in
    it; without colour it shows that class's letter. Each class's letter stands at its middle point unless
    `letters` is off, and `tags` over everything.
    """
    bounds = bounds or Bounds.of(xy)
    shown = np.flatnonzero(inside(xy, bounds))
    rows = shown[stratified(codes[shown], max_points)]
    canvas = _Canvas(width, height, int(codes.max(initial=0)) + 1, depth, focus)
    dots = cells_of(xy[rows], bounds, width, height, dots=True)
    canvas.add(dots, codes[rows])
    if letters:
        canvas.add_letters(dots, codes[rows])
    for tag in tags:
        if bounds.holds(tag.x, tag.y):
            row, column = cells_of(np.array([[tag.x, tag.y]]), bounds, width, height)[0].tolist()
            canvas.write(row, column, tag)
    return ScatterView(canvas.text(), len(rows), len(shown))


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

    def __init__(self, width: int, height: int, classes: int, depth: Depth, focus: int | None) -> None:
        self.depth, self.focus, self.classes = depth, focus, classes
        self.bits = np.zeros((height, width), dtype=np.uint8)
        self.counts = np.zeros((height, width, classes), dtype=np.int32)
        self.written: dict[tuple[int, int], tuple[str, int]] = {}
        """(row, column) -> (character, class) of what stands over the dots."""
        self.taken: set[tuple[int, int]] = set()
        """Cells of words, and one at either end."""
        self.names = class_letters(classes)

    def add(self, dots: NDArray[np.intp], codes: Ints) -> None:
        """Set a dot a point."""
        rows, columns = dots[:, 0], dots[:, 1]
        np.bitwise_or.at(self.bits, (rows // 4, columns // 2), _DOTS[rows % 4, columns % 2])
        np.add.at(self.counts, (rows // 4, columns // 2, codes), 1)

    def add_letters(self, dots: NDArray[np.intp], codes: Ints) -> None:
        """Put each class's letter on its middle point."""
        for code in np.unique(codes).tolist():
            own = dots[codes == code]
            middle = np.median(own, axis=0)
            row, column = own[np.abs(own - middle).sum(axis=1).argmin()].tolist()
            self.written[row // 4, column // 2] = (self.names[code], code)

    def write(self, row: int, column: int, tag: Tag) -> None:
        """Put words with their middle at a cell, inside the canvas; where earlier words stand they are left out."""
        words = tag.words[: self.bits.shape[1]]
        left = max(0, min(column - len(words) // 2, self.bits.shape[1] - len(words)))
        cells = [(row, left + offset) for offset in range(-1, len(words) + 1)]
        if not self.taken.intersection(cells):
            self.taken.update(cells)
            self.written.update(
                (cell, (character, tag.code)) for cell, character in zip(cells[1:], words, strict=False)
            )

    def text(self) -> Text:
        """Return the lines."""
        counts = self.counts
        if self.focus is not None and 0 <= self.focus < self.classes:
            # The class in focus colours every cell that it reaches.
            counts = counts.copy()
            counts[..., self.focus] *= 1 << 20
        winner = np.where(self.bits > 0, counts.argmax(axis=2), -1)
        colours = [*_colours(self.classes, self.depth, self.focus), ""]
        return joined([self._line(row, winner[row].tolist(), colours) for row in range(len(winner))])

    def _line(self, row: int, winners: list[int], colours: list[str]) -> Text:
        names = [*self.names, " "]
        if self.depth == "none":
            cells = [names[code] if self.focus in (None, code) or code < 0 else "·" for code in winners]
        else:
            # An empty cell is a space, not a blank braille pattern, which some fonts draw as eight rings.
            cells = [chr(_BRAILLE + bits) if bits else " " for bits in self.bits[row].tolist()]
        styles = [colours[code] for code in winners]
        for (at, column), (character, code) in self.written.items():
            if at == row:
                cells[column], styles[column] = character, f"bold {colours[code]}".strip()
        return runs("".join(cells), styles)
