"""The grid of one model's maps on one dataset, as small multiples to choose from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from medvlm_tui.core.safe_text import error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.palette import Depth
from medvlm_tui.render.small_multiples import Panel, multiples
from medvlm_tui.stages.params.projection import POSTER_MIN_DISTS, POSTER_NEIGHBORS, MapOptions
from medvlm_tui.stages.projection import GRID, PROJECT
from medvlm_tui.tui.map.data import MapData, aligned, cautions, map_data
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREY

PROPOSED = "◆"
STAGES = ("extract", "project", "report")


class MapGridScreen(PlaceScreen):
    """Every map there is, n_neighbors across and min_dist down; `enter` opens one, dismissing with its key."""

    CSS_PATH = Path(__file__).with_name("map.tcss")
    AUTO_FOCUS = "#multiples"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "move(0,1)", "choose", key_display="arrows"),
        Binding("left,h", "move(0,-1)", "left", show=False),
        Binding("up,k", "move(-1,0)", "up", show=False),
        Binding("down,j", "move(1,0)", "down", show=False),
        Binding("enter", "open", "open"),
        Binding("r", "compute", "compute all 50"),
        Binding("escape,n", "leave", "back"),
    ]

    def __init__(self, cell: Cell, title: str, key: str) -> None:
        super().__init__()
        self.cell, self.cell_title, self.key = cell, title, key
        self.maps: dict[tuple[int, int], MapData] = {}
        """By (row, column) of the grid."""
        self.settings: tuple[list[float], list[int]] = ([], [])
        """min_dist down, n_neighbors across."""
        self.here = (0, 0)
        self.proposed = ""
        """Key of the map that the engine proposes."""

    def body(self) -> ComposeResult:
        """The small maps, and a line about the chosen one."""
        yield Picture("Grid", widget_id="multiples", centred=False)
        yield Static(id="about-map")

    def on_mount(self) -> None:
        """Read them."""
        self.query_one(Picture).say(Text("reading the maps"))
        self.read()

    @work(exclusive=True, group="load")
    async def read(self) -> None:
        """Read every map of the cell, and which one is proposed."""
        try:
            found = await self._maps()
        except MedvlmError as error:
            self.query_one(Picture).say(Text(error_text(error)))
            return
        across, down = sorted({one.n_neighbors for one in found}), sorted({one.min_dist for one in found})
        self.settings = (down, across)
        self.maps = {(down.index(one.min_dist), across.index(one.n_neighbors)): one for one in found}
        chosen = next((place for place, one in self.maps.items() if one.key == self.key), (0, 0))
        self.here = chosen
        self._draw()

    async def _maps(self) -> list[MapData]:
        results, keys = self.medvlm.results, self.cell.keys
        table = await results.table(keys.get("table", ""))
        grid = await results.read(keys["grid"], GRID.record) if "grid" in keys else None
        self.proposed = "" if grid is None else grid.record.proposed
        found = []
        for key in dict.fromkeys((*self.cell.maps, self.key)):
            result = await results.read(key, PROJECT.record)
            if table is not None and result is not None:
                found.append(aligned(map_data(key, result, table), grid))
        return found

    def action_move(self, down: int, across: int) -> None:
        """Choose a neighbouring map."""
        rows, columns = len(self.settings[0]), len(self.settings[1])
        if rows and columns:
            self.here = (max(0, min(rows - 1, self.here[0] + down)), max(0, min(columns - 1, self.here[1] + across)))
            self._draw()

    def action_open(self) -> None:
        """Show the chosen map large."""
        if self.here in self.maps:
            self.dismiss(self.maps[self.here].key)

    async def action_compute(self) -> None:
        """Ask for the maps of every setting of the poster, with their cost."""
        asked = replace(self.medvlm.request.of(MapOptions), neighbors=POSTER_NEIGHBORS, min_dist=POSTER_MIN_DISTS)
        request = self.medvlm.request.having(asked)
        request = replace(request, models=(self.cell.model,), datasets=(self.cell.dataset,), stages=STAGES)
        count = len(POSTER_NEIGHBORS) * len(POSTER_MIN_DISTS)
        await self.medvlm.ask_run(request, note=f"the grid of {count} maps; those that are there are kept")

    def action_leave(self) -> None:
        """Go back to the map that was shown."""
        self.dismiss(None)

    def _draw(self) -> None:
        down, across = self.settings

        def drawing(width: int, height: int, depth: Depth) -> Text:
            panels = {place: self._panel(place, one) for place, one in self.maps.items()}
            return multiples(panels, len(down), len(across), self.here, width, height, depth)

        picture = self.query_one(Picture)
        picture.set_title(self.cell_title, "n_neighbors across, min_dist down")
        picture.show_drawing(drawing)
        self.query_one("#about-map", Static).update(self._about())

    def _panel(self, place: tuple[int, int], one: MapData) -> Panel:
        mark = f" {PROPOSED}" if one.key == self.proposed else ""
        trust = one.scores.get("trustworthiness")
        short = f"{one.n_neighbors} {one.min_dist:g}{mark}"
        titles: tuple[str, ...] = (
            f"n {one.n_neighbors} d {one.min_dist:g}{mark}",
            short,
            f"{one.n_neighbors}{mark.strip()}",
        )
        if trust is not None:
            titles = (f"{titles[0]}  {trust:.2f}", *titles)
        style = "bold reverse" if place == self.here else "bold" if mark else ""
        return Panel(one.xy, one.codes, titles, style)

    def _about(self) -> Text:
        if self.here not in self.maps:
            return Text("no map was drawn with these settings", style=GREY)
        one = self.maps[self.here]
        words = Text(no_wrap=True, overflow="ellipsis")
        if one.key == self.proposed:
            words.append(f"{PROPOSED} proposed   ", "bold")
        if len(self.maps) == 1:
            return words.append("the only map here: r computes the 50, asking first", GREY)
        return words.append(one.facts).append(cautions(one.scores), GREY)
