"""Map: the images of a dataset as an encoder sees them, one UMAP cell in braille."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from medvlm_tui.core.text import clean
from medvlm_tui.render.palette import Depth
from medvlm_tui.render.scatter import legend, scatter
from medvlm_tui.tui.records import Cell
from medvlm_tui.tui.screens.walk import WalkScreen
from medvlm_tui.tui.widgets.picture import Picture, colour_depth


@dataclass(frozen=True, slots=True)
class MapData:
    """What the map shows; names are safe to show."""

    xy: NDArray[np.float32]
    labels: NDArray[np.int64]
    """Index of each point's class."""
    names: tuple[str, ...]
    facts: str


class MapScreen(WalkScreen):
    """Where one sees which classes lie together."""

    place = "map"
    kind = "project"
    noun = "map"
    CSS_PATH = "../styles/map.tcss"
    AUTO_FOCUS = "#plot"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket,left,h,up,k", "alone(-1)", "one class against grey", key_display="[ ]"),
        Binding("right_square_bracket,right,l,down,j", "alone(1)", "next class", show=False),
        Binding("enter", "app.go('saliency')", "saliency"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.points: MapData | None = None
        self.alone = -1
        """Index of the class that alone has colour, -1 for all."""

    def body(self) -> ComposeResult:
        """The plot, and the classes below it."""
        yield Picture("Map", widget_id="plot")
        yield Static(id="legend")

    def say(self, text: Text) -> None:
        """Show words instead of a map."""
        self.points = None
        plot = self.query_one(Picture)
        plot.set_title("Map")
        plot.say(text)
        self.query_one("#legend", Static).update(Text())

    async def read(self, cell: Cell) -> bool:
        """Read the projection, and the labels from the table it was made of."""
        result = await self.medvlm.results.result(cell.keys["project"])
        table = await self.medvlm.results.table(cell.keys.get("table", ""))
        if result is None or table is None:
            return False
        rows = result.arrays["rows"]
        names = tuple(table.classes) or tuple(sorted(set(table.labels)))
        position = {name: index for index, name in enumerate(names)}
        labels = np.array([position.get(table.labels[int(row)], 0) for row in rows], np.int64)
        self.points = MapData(result.arrays["xy"], labels, tuple(map(clean, names)), facts(result.record))
        self.alone = -1
        self._draw_map()
        return True

    def action_alone(self, step: int) -> None:
        """Show the next class alone against grey; after the last one, all."""
        if self.points is not None:
            count = len(self.points.names) + 1
            self.alone = (self.alone + 1 + step) % count - 1
            self._draw_map()

    def _draw_map(self) -> None:
        if self.points is None:
            return
        points, focus = self.points, None if self.alone < 0 else self.alone

        def draw(width: int, height: int, depth: Depth) -> Text:
            return scatter(points.xy, points.labels, width, height, depth, focus).text

        plot = self.query_one(Picture)
        plot.set_title(self.cell_title, points.facts)
        plot.show_drawing(draw)
        counts = np.bincount(points.labels, minlength=len(points.names)).tolist()
        self.query_one("#legend", Static).update(legend(points.names, counts, colour_depth(self.medvlm), focus))


_FIRST_SCORES = ("trustworthiness", "knn_purity")


def facts(record: Mapping[str, Any]) -> str:
    """Return `n 15 · d 0.1 · trust 0.96 · 360 images` of a projection's record."""
    parts = [f"n {record['n_neighbors']}", f"d {record['min_dist']}"]
    scores = record.get("scores", {})
    # What narrow screens must not cut comes first.
    for name in sorted(scores, key=lambda name: (_FIRST_SCORES.index(name) if name in _FIRST_SCORES else 9, name)):
        if isinstance(scores[name], float):
            label = "trust" if name == "trustworthiness" else clean(str(name)).replace("_", " ")
            parts.append(f"{label} {scores[name]:.2f}")
    count = record.get("n")
    parts += [f"{count:,} images"] if isinstance(count, int) else []
    return " · ".join([*parts, *(["a stratified part"] if record.get("subsampled") else [])])
