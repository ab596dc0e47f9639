"""A map that is zoomed, moved, and walked from point to point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual.geometry import Region

from medvlm_tui.measures.map_gaps import Gaps
from medvlm_tui.render import regions
from medvlm_tui.render.palette import Depth, class_letters
from medvlm_tui.render.scatter import MAX_POINTS, Bounds, Tag, cells_of, inside, scatter, stratified, with_cross
from medvlm_tui.tui.map.colouring import Colouring
from medvlm_tui.tui.map.data import MapData
from medvlm_tui.tui.shared.picture import Picture

MARKED = "◆"
ZOOM = 2.0
# A map is at most 64 times as large as the frame: beyond that, points of one cell are the same point to the eye.
MOST_ZOOM = 64.0
_PAN = 1 / 3
# Cells of width from which regions carry names: in fewer, ten names cover half of the points.
NAMES_FROM = 70


class MapPlot(Picture):
    """Draws a map once for each view; the cursor alone costs two lines."""

    def __init__(self, widget_id: str, takes_keys: bool = True) -> None:
        super().__init__("Map", widget_id, takes_keys=takes_keys)
        self.data: MapData | None = None
        self.focus_class = -1
        """Index of the class that alone has colour, -1 for all."""
        self.named = True
        """Regions carry their class's name."""
        self.at = -1
        """Index of the point under the cursor, -1 for none."""
        self.note = ""
        """Note on what was left out of the drawing."""
        self.density: bool | None = None
        """Cells are shaded by their number of points; None: where there are more than are drawn one by one."""
        self.marked: frozenset[int] = frozenset()
        """Indices of the marked points; `mark` sets them."""
        self._marks: dict[int, list[int]] | None = None
        """Row -> columns of the cells that hold marked points; None until they are drawn."""
        self.gaps = Gaps(None, None)
        """Gaps between far islands that are closed."""
        self._bounds = Bounds(0.0, 1.0, 0.0, 1.0)
        self._whole = self._bounds
        self._regions: list[regions.Region] = []

    def show_map(self, data: MapData, gaps: Gaps | None = None) -> None:
        """Show another map, whole, without a cursor; `gaps` are those to close, by default the map's own."""
        self.gaps = Gaps.of(data.xy) if gaps is None else gaps
        data = replace(data, xy=self.gaps.close(data.xy))
        self.data, self.at = data, -1
        self._bounds = self._whole = _with_margin(Bounds.of(data.xy))
        self._regions = regions.regions(data.xy, data.codes)
        self.draw()

    def recolour(self, colours: Colouring) -> None:
        """Show the same points in other groups."""
        if self.data is not None:
            self.data, self.focus_class = colours.on(self.data), -1
            self._regions = regions.regions(self.data.xy, self.data.codes)
            self.draw()

    def draw(self) -> None:
        """Draw anew: the view, the class in focus or the names changed."""
        data = self.data
        if data is None:
            return
        focus = None if self.focus_class < 0 else self.focus_class

        def drawing(width: int, height: int, depth: Depth) -> Text:
            tags = self._tags(data, width) if self.named else ()
            view = scatter(
                data.xy, data.codes, width, height, depth, focus, self._bounds, tags, density=self.shades_density
            )
            self.note = f"shaded by density: {view.total:,} points" if self.shades_density else view.note
            return view.text

        self.show_drawing(drawing)

    @property
    def shades_density(self) -> bool:
        """Return whether cells are shaded by their number of points."""
        if self.density is not None or self.data is None:
            return bool(self.density)
        return int(inside(self.data.xy, self._bounds).sum()) > MAX_POINTS

    def _tags(self, data: MapData, width: int) -> list[Tag]:
        """Return the regions' names with the share of the class in them; letters where names would hide the map."""
        names = data.names if width >= NAMES_FROM else class_letters(len(data.names))
        return [Tag(r.x, r.y, f"{names[r.code]} {100 * r.share:.0f} %", r.code) for r in self._regions]

    # -- the view ----------------------------------------------------------------------------------

    def zoom(self, factor: float) -> None:
        """Zoom in or out around the cursor, around the middle without one."""
        width = (self._whole.right - self._whole.left) / ((self._bounds.right - self._bounds.left) or 1.0) * factor
        if self.data is None or width > MOST_ZOOM:
            return
        if width <= 1.0:
            self._bounds = self._whole
        else:
            self._bounds = self._bounds.zoomed(factor, *self._middle())
        self.draw()

    def pan(self, across: int, up: int) -> None:
        """Move the view by a third of its size; it never leaves the map."""
        moved = self._bounds.moved(_PAN * across, _PAN * up)
        x, y = (moved.left + moved.right) / 2, (moved.bottom + moved.top) / 2
        if self.data is not None and self._whole.holds(x, y):
            self._bounds = moved
            self.draw()

    def whole(self) -> None:
        """Show the whole map."""
        self._bounds = self._whole
        self.draw()

    def _middle(self) -> tuple[float, float]:
        if self.data is not None and self.at >= 0:
            x, y = self.data.xy[self.at].tolist()
            return x, y
        return (self._bounds.left + self._bounds.right) / 2, (self._bounds.bottom + self._bounds.top) / 2

    # -- the cursor --------------------------------------------------------------------------------

    def walk(self, across: int, down: int) -> None:
        """Go to the nearest point in a direction; the first step goes to the point nearest to the middle."""
        if self.data is None or not len(self.data.xy):
            return
        width, height = max(1, self.content_size.width), max(1, self.content_size.height)
        shown = self._shown()
        places = cells_of(self.data.xy[shown], self._bounds, width, height)
        if self.at < 0:
            nearest = int(np.abs(places - np.array([height // 2, width // 2])).sum(axis=1).argmin())
        else:
            here = cells_of(self.data.xy[[self.at]], self._bounds, width, height)[0]
            nearest = _next(places - here, across, down)
        if nearest >= 0:
            self.go(int(shown[nearest]))

    def go(self, index: int) -> None:
        """Put the cursor on a point (-1: nowhere), moving the view when the point lies outside."""
        before = self._cursor_cell()
        self.at = index
        if self.data is not None and index >= 0 and not self._bounds.holds(*self.data.xy[index].tolist()):
            self._bounds = self._bounds.zoomed(1.0, *self._middle())
            self.draw()
            return
        for cell in (before, self._cursor_cell()):
            if cell is not None:
                self.refresh(Region(0, cell[0], self.content_size.width, 1))

    def _shown(self) -> NDArray[np.intp]:
        """Return the points that can be walked to: those inside the view, all when it is empty."""
        assert self.data is not None
        shown = np.flatnonzero(inside(self.data.xy, self._bounds))
        shown = shown if len(shown) else np.arange(len(self.data.xy))
        return shown[stratified(self.data.codes[shown], MAX_POINTS)]

    def _cursor_cell(self) -> tuple[int, int] | None:
        size = self.content_size
        if self.data is None or self.at < 0 or not size.width or not size.height:
            return None
        if not self._bounds.holds(*self.data.xy[self.at].tolist()):
            return None
        row, column = cells_of(self.data.xy[[self.at]], self._bounds, size.width, size.height)[0].tolist()
        return row, column

    def mark(self, points: frozenset[int]) -> None:
        """Mark these points and no others."""
        self.marked, self._marks = points, None
        self.refresh()

    def _draw(self, width: int, height: int) -> list[Text]:
        self._marks = None
        return super()._draw(width, height)

    def _marked_cells(self) -> dict[int, list[int]]:
        size, data = self.content_size, self.data
        if not self.marked or data is None or not size.width or not size.height:
            return {}
        shown = data.xy[sorted(self.marked)]
        places = cells_of(shown[inside(shown, self._bounds)], self._bounds, size.width, size.height)
        columns: dict[int, list[int]] = {}
        for row, column in np.unique(places, axis=0).tolist():
            columns.setdefault(row, []).append(column)
        return columns

    def overlaid(self, y: int, line: Text) -> Text:
        """Put the marks and the cursor on their line."""
        if self._marks is None:
            self._marks = self._marked_cells()
        for column in self._marks.get(y, ()):
            line = Text.assemble(line[:column], (MARKED, "bold reverse"), line[column + 1 :], no_wrap=True, end="")
        cell = self._cursor_cell()
        return with_cross(line, cell[1]) if cell is not None and cell[0] == y else line


def _with_margin(bounds: Bounds) -> Bounds:
    """Return bounds two per cent wider, so that a region's name at the edge keeps its points in view."""
    x, y = 0.01 * (bounds.right - bounds.left) or 0.5, 0.01 * (bounds.top - bounds.bottom) or 0.5
    return Bounds(bounds.left - x, bounds.right + x, bounds.bottom - y, bounds.top + y)


def _next(away: NDArray[np.intp], across: int, down: int) -> int:
    """Return the index of the nearest of `away` (n, 2) rows and columns in a direction, -1 when there is none.

    A cell is twice as high as wide. Points more to the side than ahead are not in the direction.
    """
    rows, columns = 2 * away[:, 0], away[:, 1]
    ahead, aside = (columns * across, np.abs(rows)) if across else (rows * down, np.abs(columns))
    candidates = np.flatnonzero((ahead > 0) & (aside <= ahead))
    if not len(candidates):
        candidates = np.flatnonzero(ahead > 0)
    if not len(candidates):
        return -1
    return int(candidates[(ahead + 2 * aside)[candidates].argmin()])
