"""Map: the images of a dataset as an encoder sees them, walked from point to point, one or two models at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize

from medvlm_tui.core.safe_text import clean, error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.map_gaps import Gaps
from medvlm_tui.render.scatter import legend
from medvlm_tui.stages.projection import GRID, PROJECT
from medvlm_tui.stages.references import REFERENCES
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.similarity import SIMILARITY
from medvlm_tui.tui.map.data import (
    MapData,
    aligned,
    cautions,
    map_data,
    neighbours,
    prediction,
    reference_words,
    settings,
    similarity_words,
    turned_onto,
)
from medvlm_tui.tui.map.image_pane import ImageFacts, ImagePane
from medvlm_tui.tui.map.plot import ZOOM, MapPlot
from medvlm_tui.tui.map.strip import MarkedStrip
from medvlm_tui.tui.map.working import MapWork
from medvlm_tui.tui.shared.filter_line import FilterLine
from medvlm_tui.tui.shared.picture import colour_depth
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREY

OPEN = Gaps(None, None)
GAPS_CLOSED = "gaps closed (u opens) · "
# A thumbnail of 64 px is as large as the pane on a screen of 200 x 50.
THUMBNAIL_PX = 64


class MapScreen(MapWork):
    """Screen that shows which images lie close together, and which image a point is."""

    place = "map"
    kind = "project"
    noun = "map"
    CSS_PATH = Path(__file__).with_name("map.tcss")
    AUTO_FOCUS = "#plot"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "walk_points(1,0)", "walk", key_display="arrows"),
        Binding("left,h", "walk_points(-1,0)", "walk", show=False),
        Binding("up,k", "walk_points(0,-1)", "walk", show=False),
        Binding("down,j", "walk_points(0,1)", "walk", show=False),
        Binding("plus,equals_sign", "zoom(1)", "zoom", key_display="+ -"),
        Binding("minus", "zoom(-1)", "zoom out", show=False),
        Binding("0", "whole", "whole map", show=False),
        Binding("shift+right,L", "pan(1,0)", "move the view", show=False, key_display="shift+arrows"),
        Binding("shift+left,H", "pan(-1,0)", "move left", show=False),
        Binding("shift+up,K", "pan(0,1)", "move up", show=False),
        Binding("shift+down,J", "pan(0,-1)", "move down", show=False),
        Binding("left_square_bracket", "alone(-1)", "one class against grey", key_display="[ ]"),
        Binding("right_square_bracket", "alone(1)", "next class", show=False),
        Binding("n", "grid", "grid"),
        Binding("b", "beside", "beside"),
        Binding("t", "names", "names", show=False),
        Binding("d", "density", "points / density", show=False),
        Binding("u", "gaps", "gaps between islands", show=False),
        Binding("enter", "saliency", "saliency"),
    ]

    def request_here(self) -> RunRequest:
        """Return the run that makes this map."""
        cell, stages = self.cell, ("extract", "project", "report")
        return replace(self.medvlm.request, models=(cell.model,), datasets=(cell.dataset,), stages=stages)

    def __init__(self) -> None:
        super().__init__()
        self.other = ""
        """Model of the second map, empty when there is one map only."""
        self.closed = True
        """Wide gaps between islands are closed where points would fill less than half of the frame."""

    def body(self) -> ComposeResult:
        """One or two plots, the image under the cursor, the classes."""
        with Container(id="maps"):
            yield MapPlot("plot")
            yield MapPlot("plot-beside", takes_keys=False)
            yield ImagePane(id="image")
        yield MarkedStrip(id="marked")
        yield Static(id="between")
        yield Static(id="map-note")
        yield Static(id="legend")
        yield FilterLine(id="search")

    @property
    def plots(self) -> tuple[MapPlot, ...]:
        """The plots that are shown, the walked one first."""
        both = (self.plot, self.query_one("#plot-beside", MapPlot))
        return both if self.other else both[:1]

    def on_mount(self) -> None:
        """One map first."""
        self._arrange()

    def on_resize(self, _event: Resize) -> None:
        """A narrow screen has room for the image only while there is one."""
        self._arrange()

    def _arrange(self) -> None:
        self.query_one("#plot-beside").display = self.query_one("#between").display = bool(self.other)
        at = self.plot.at
        self.query_one("#image").display = self.points is not None and (self.app.size.width >= 100 or at >= 0)

    def say(self, text: Text) -> None:
        """Show words instead of a map."""
        self.points, self.other = None, ""
        plot = self.plot
        plot.set_title("Map")
        plot.say(text)
        self.query_one("#legend", Static).update(Text())
        self._arrange()

    # -- reading -----------------------------------------------------------------------------------

    async def read(self, cell: Cell) -> bool:
        """Read the map chosen last, and the one beside it."""
        found = await self._map(cell, cell.keys["project"])
        if found is None:
            return False
        self.points = found
        self.other = ""
        self._show_points()
        return True

    async def _map(self, cell: Cell, key: str) -> MapData | None:
        result = await self.medvlm.results.read(key, PROJECT.record)
        table = await self.medvlm.results.table(cell.keys.get("table", ""))
        if result is None or table is None:
            return None
        grid = await self.medvlm.results.read(cell.keys["grid"], GRID.record) if "grid" in cell.keys else None
        return aligned(map_data(key, result, table), grid)

    def _show_points(self) -> None:
        points = self.points
        assert points is not None
        plot = self.plot
        plot.focus_class = -1
        plot.show_map(points, None if self.closed else OPEN)
        gaps = GAPS_CLOSED if plot.gaps else ""
        plot.set_title(self.cell_title, gaps + points.facts + cautions(points.scores))
        pane = self.query_one(ImagePane)
        pane.show_facts(None)
        pane.show_words("arrows walk from image to image")
        self.begin_work()
        self._arrange()
        self.show_legend()

    def show_legend(self) -> None:
        """Name the groups that the points are coloured by."""
        plot = self.plot
        points = plot.data
        if points is None:
            return
        counts = np.bincount(points.codes, minlength=len(points.names)).tolist()
        focus = None if plot.focus_class < 0 else plot.focus_class
        line = legend(points.names, counts, colour_depth(self.medvlm), focus)
        if plot.note:
            line.append(f"   {plot.note}", GREY)
        self.query_one("#legend", Static).update(line)

    # -- keys --------------------------------------------------------------------------------------

    def action_walk_points(self, across: int, down: int) -> None:
        """Go to the nearest image in a direction."""
        if self.points is None:
            return
        plot = self.plot
        first = plot.at < 0
        plot.walk(across, down)
        if plot.at < 0:
            return
        self._visited(plot.at, first)

    def visit(self, at: int) -> None:
        """Put the cursor on a point."""
        plot = self.plot
        first = plot.at < 0
        plot.go(at)
        self._visited(at, first)

    def _visited(self, at: int, first: bool) -> None:
        """Show the image under the cursor, and put the second cursor on it."""
        if self.other:
            self._link(at)
        if first:
            self._arrange()
        self.show_image(at)

    def _link(self, at: int) -> None:
        """Put the second cursor on the same image, nowhere when that map does not show it."""
        beside = self.query_one("#plot-beside", MapPlot)
        assert self.points is not None
        ids = beside.data.ids if beside.data is not None else ()
        image = self.points.ids[at]
        beside.go(ids.index(image) if image in ids else -1)

    def action_zoom(self, direction: int) -> None:
        """Zoom in or out."""
        for plot in self.plots:
            plot.zoom(ZOOM**direction)

    def action_pan(self, across: int, up: int) -> None:
        """Move the view."""
        for plot in self.plots:
            plot.pan(across, up)

    def action_whole(self) -> None:
        """Show the whole map."""
        for plot in self.plots:
            plot.whole()

    async def action_gaps(self) -> None:
        """Open the closed gaps between islands, or close them."""
        if self.points is not None:
            self.closed = not self.closed
            at = self.plot.at
            self._show_points()
            await self._draw_beside()
            if at >= 0:
                self.visit(at)

    def action_names(self) -> None:
        """Name the regions, or take their names away."""
        for plot in self.plots:
            plot.named = not plot.named
            plot.draw()

    def action_density(self) -> None:
        """Shade cells by their number of points, or draw the points one by one."""
        if self.points is None:
            return
        shaded = not self.plot.shades_density
        for plot in self.plots:
            plot.density = shaded
            plot.draw()
        self.call_after_refresh(self.show_legend)

    def action_alone(self, step: int) -> None:
        """Show the next class alone against grey; after the last one, all."""
        if self.points is None:
            return
        shown = self.plot.data or self.points
        count = len(shown.names) + 1
        for plot in self.plots:
            plot.focus_class = (plot.focus_class + 1 + step) % count - 1
            plot.draw()
        self.show_legend()

    def action_saliency(self) -> None:
        """Go to the saliency of the image under the cursor, where there is one."""
        at = self.plot.at
        if self.points is not None and at >= 0:
            self.medvlm.selection.image = self.points.ids[at]
        self.medvlm.action_go("saliency")

    def action_grid(self) -> None:
        """Choose among all maps of this model on this dataset."""
        from medvlm_tui.tui.map.grid_screen import MapGridScreen

        if self.points is not None:
            self.medvlm.push_screen(MapGridScreen(self.cell, self.cell_title, self.points.key), self._chosen)

    def _chosen(self, key: object) -> None:
        """Take what the grid was left with: the key of a map, or nothing."""
        if isinstance(key, str) and self.points is not None and key != self.points.key:
            self._open(key)

    @work(exclusive=True, group="load")
    async def _open(self, key: str) -> None:
        """Show another map of the same cell."""
        found = await self._map(self.cell, key)
        if found is not None:
            self.points = found
            self._show_points()
            await self._draw_beside()

    # -- two models --------------------------------------------------------------------------------

    @work(exclusive=True, group="beside")
    async def action_beside(self) -> None:
        """Show another model's map of the same dataset beside this one, then the next one's, then none."""
        there = [cell.model for cell in self.medvlm.board.with_result("project") if cell.dataset == self.cell.dataset]
        others = ["", *(model for model in there if model != self.cell.model)]
        if len(others) == 1:
            self.medvlm.tell("no other model has a map of this dataset")
        self.other = others[(others.index(self.other) + 1) % len(others)] if self.other in others else ""
        await self._draw_beside()
        self._arrange()

    async def _draw_beside(self) -> None:
        """Draw the second map, of the same parameters where there is one."""
        points, plot = self.points, self.plot
        if not self.other or points is None:
            return
        cell = self.medvlm.board.cell(self.other, self.cell.dataset)
        found = await self._map(cell, await self._alike(cell, points))
        if found is None:
            self.other = ""
            return
        shown, apart = turned_onto(points, found)
        beside = self.query_one("#plot-beside", MapPlot)
        beside.focus_class, beside.named, beside.density = plot.focus_class, plot.named, plot.density
        beside.set_title(self.medvlm.board.model_name(self.other), shown.facts + cautions(shown.scores))
        beside.show_map(shown, plot.gaps)
        if plot.at >= 0:
            self._link(plot.at)
        key = self.cell.keys.get("similarity", "")
        alike = await self.medvlm.results.read_record(key, SIMILARITY.record) if key else None
        measured = similarity_words(alike, self.cell.model, self.other)
        maps = "too few common images to compare" if apart is None else f"Procrustes disparity of the maps {apart:.2f}"
        key = self.cell.keys.get("references", "")
        beside_itself = reference_words(await self.medvlm.results.read_record(key, REFERENCES.record) if key else None)
        words = "   ".join(part for part in (measured, maps, beside_itself) if part)
        self.query_one("#between", Static).update(Text(words, no_wrap=True, overflow="ellipsis"))

    async def _alike(self, cell: Cell, points: MapData) -> str:
        """Return the key of a cell's map with the settings of `points`, else of the one shown without choosing."""
        shown = cell.keys.get("project", "")
        for key in dict.fromkeys((shown, *reversed(cell.maps))):
            record = await self.medvlm.results.read_record(key, PROJECT.record)
            if record is not None and settings(record) == (points.n_neighbors, points.min_dist):
                return key
        return shown

    # -- the image under the cursor ----------------------------------------------------------------

    @work(exclusive=True, group="image")
    async def show_image(self, at: int) -> None:
        """Show what is known of a point, then its thumbnail; a newer one ends this."""
        points, cell, pane = self.points, self.cell, self.query_one(ImagePane)
        if points is None:
            return
        # Held keys walk over many points: only where the cursor rests is anything read.
        await asyncio.sleep(0.05)
        try:
            pane.show_facts(await self._facts(points, cell, at))
            pixels = await self.medvlm.pictures.picture(self.medvlm.request, cell.dataset, points.ids[at], THUMBNAIL_PX)
            pane.show_image(pixels)
        except MedvlmError as error:
            pane.show_words(error_text(error))

    async def _facts(self, points: MapData, cell: Cell, at: int) -> ImageFacts:
        row = int(points.rows[at])
        table, probe = await self.table_and_probe(cell)
        near: list[int] = []
        if table is not None:
            # 28,160 x 1,280 numbers take a tenth of a second to read: not in the thread that draws.
            loop = asyncio.get_running_loop()
            rows = await loop.run_in_executor(None, partial(neighbours, table, row))
            number = {clean(name): index for index, name in enumerate(table.classes)}
            near = [number[name] for found in rows if (name := clean(table.labels[found])) in number]
        return ImageFacts(
            title=f"image {at + 1:,} of {len(points.ids):,}",
            image=clean(points.ids[at]),
            names=points.names,
            code=int(points.codes[at]),
            predicted=None if probe is None else prediction(probe, row),
            neighbours=near,
        )
