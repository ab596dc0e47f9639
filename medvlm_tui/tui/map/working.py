"""Working on a map: search, marks, colouring, errors in turn, neighbours, tags, export."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.tui.map.colouring import Colouring, Predicted, colourings, errors, predicted
from medvlm_tui.tui.map.data import MapData
from medvlm_tui.tui.map.plot import MapPlot
from medvlm_tui.tui.map.strip import MarkedStrip
from medvlm_tui.tui.shared.copying import Copyable, image_copies
from medvlm_tui.tui.shared.exports import export_folder
from medvlm_tui.tui.shared.filter_line import FilterLine
from medvlm_tui.tui.shared.result_place import WalkScreen
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.core.specs import FeatureTable
    from medvlm_tui.core.store.store import Stored
    from medvlm_tui.tui.shared.ask_export import Export


class MapWork(WalkScreen):
    """Actions on the points of a map; subclasses show the map and visit points."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search"),
        Binding("space", "mark", "mark"),
        Binding("v", "range", "mark a rectangle", show=False),
        Binding("c", "colour", "colour by"),
        Binding("w", "error(1)", "next error"),
        Binding("W", "error(-1)", "error before", show=False),
        Binding("N", "neighbours", "neighbours"),
        Binding("e", "tag", "tag the marked"),
        Binding("o", "marked", "marked ones, larger"),
        Binding("x", "export", "export"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.points: MapData | None = None
        self.colours: list[Colouring] = []
        self.coloured = 0
        """Index of the colouring that is shown; the classes are the first."""
        self.wanted = ""
        """Text of the last search."""
        self.corner = -1
        """Point at which a rectangle was begun, -1 for none."""

    @property
    def plot(self) -> MapPlot:
        """The map that is walked."""
        return self.query_one("#plot", MapPlot)

    def visit(self, at: int) -> None:
        """Put the cursor on a point."""
        raise NotImplementedError

    def show_legend(self) -> None:
        """Name the colours."""
        raise NotImplementedError

    def begin_work(self) -> None:
        """Forget what belonged to the map before."""
        self.colours, self.coloured, self.corner = [], 0, -1
        self.plot.mark(frozenset())
        self._show_marks()
        self.note("")

    def note(self, words: str) -> None:
        """Show one line on what was done last; none for no words."""
        line = self.query_one("#map-note", Static)
        line.display = bool(words)
        line.update(Text(words, style=GREY, no_wrap=True, overflow="ellipsis"))

    # -- search ------------------------------------------------------------------------------------

    async def action_search(self) -> None:
        """Type the name of an image or of a class; `enter` goes to the next that has it."""
        await self.query_one(FilterLine).open()

    @on(FilterLine.Changed)
    def _typed(self, event: FilterLine.Changed) -> None:
        self.wanted = event.text

    @on(FilterLine.Kept)
    def _found(self) -> None:
        self.query_one(FilterLine).display = False
        self.plot.focus()
        points, wanted = self.points, self.wanted.strip().lower()
        if points is None or not wanted:
            return
        classes = [index for index, name in enumerate(points.names) if name.lower() == wanted]
        found = [
            at for at, image in enumerate(points.ids)
            if (points.codes[at] in classes if classes else wanted in clean(image).lower())
        ]  # fmt: skip
        if not found:
            self.note(f"no image and no class is named {self.wanted}")
            return
        at = next((at for at in found if at > self.plot.at), found[0])
        self.note(f"{found.index(at) + 1} of {len(found)} named {self.wanted}: / enter goes on")
        self.visit(at)

    # -- marks -------------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark the image under the cursor, or take its mark away."""
        if self.points is not None and self.plot.at >= 0:
            self.plot.mark(self.plot.marked ^ {self.plot.at})
            self._show_marks()

    def action_range(self) -> None:
        """Begin a rectangle at the cursor; the second time, mark all images between there and the cursor."""
        plot, points = self.plot, self.points
        if points is None or plot.at < 0 or plot.data is None:
            return
        if self.corner < 0:
            self.corner = plot.at
            self.note("a rectangle begins here: walk on, v marks what lies in it")
            return
        low, high = (edge(plot.data.xy[[self.corner, plot.at]], axis=0) for edge in (np.min, np.max))
        within = np.flatnonzero(((plot.data.xy >= low) & (plot.data.xy <= high)).all(axis=1))
        self.corner = -1
        plot.mark(plot.marked | set(within.tolist()))
        self._show_marks()

    def _show_marks(self) -> None:
        plot, points = self.plot, self.points
        strip = self.query_one(MarkedStrip)
        marked = sorted(plot.marked)
        strip.show_images(self.cell.dataset, [] if points is None else [points.ids[at] for at in marked])
        self.note(f"{len(marked)} marked: space marks, v a rectangle, e tags them, x exports" if marked else "")

    def action_marked(self) -> None:
        """List the marked images with the one under the cursor large; `enter` goes to it on the map."""
        from medvlm_tui.tui.map.neighbours import MarkedScreen

        points = self.points
        if points is None or not self.plot.marked:
            self.note("mark images first: space, or v twice for a rectangle")
            return
        found = [(points.ids[at], points.names[points.codes[at]]) for at in sorted(self.plot.marked)]
        self.app.push_screen(MarkedScreen(self.cell.dataset, f"{len(found)} marked", found), self._neighbour)

    def copies(self) -> list[Copyable]:
        """Return the command line, and of the image under the cursor its id, its path and its line of the table."""
        points, at = self.points, self.plot.at
        if points is None or at < 0:
            return super().copies()
        known = self.colours or [Colouring("class", points.names, points.codes)]
        values = [*(one.names[one.codes[at]] for one in known), *(f"{value:.6g}" for value in points.xy[at])]
        marked = sorted(self.plot.marked)
        found = [*super().copies(), *image_copies(self.medvlm.board, self.cell.dataset, points.ids[at])]
        found.append(Copyable("line of the table", "\t".join([points.ids[at], *values])))
        if marked:
            found.append(Copyable(f"ids of the {len(marked)} marked", "\n".join(points.ids[one] for one in marked)))
        return found

    # -- colours and errors ------------------------------------------------------------------------

    async def table_and_probe(self, cell: Cell) -> tuple[FeatureTable | None, Stored[ProbeRecord] | None]:
        """Return the features of a cell and its probe, None for what is not stored; raises MedvlmError."""
        results = self.medvlm.results
        probe = await results.read(cell.keys["probe"], PROBE.record) if "probe" in cell.keys else None
        return await results.table(cell.keys.get("table", "")), probe

    async def known_colours(self, points: MapData) -> list[Colouring]:
        """Return every grouping of the map's points, read once per map."""
        if not self.colours:
            from medvlm_tui.tui.map.tagging import known_tags

            table, probe = await self.table_and_probe(self.cell)
            tags = known_tags(self.medvlm.workspace, self.medvlm.request.tags)
            loop = asyncio.get_running_loop()
            if table is not None:
                self.colours = await loop.run_in_executor(None, partial(colourings, points, table, probe, tags))
        return self.colours

    @work(exclusive=True, group="work")
    async def action_colour(self) -> None:
        """Colour by the next of: class, prediction, error, part, fold, group, tags."""
        points = self.points
        if points is None:
            return
        try:
            known = await self.known_colours(points)
        except MedvlmError as error:
            self.note(clean(f"{error.message}; {error.hint}"))
            return
        if known:
            self.coloured = (self.coloured + 1) % len(known)
            self.plot.recolour(known[self.coloured])
            self.show_legend()
            self.note(f"coloured by {known[self.coloured].name} ({self.coloured + 1} of {len(known)}): c goes on")

    async def _predicted(self, points: MapData) -> tuple[Predicted, list[str]] | None:
        table, probe = await self.table_and_probe(self.cell)
        if table is None or probe is None:
            return None
        return predicted(probe, table, points.rows), [table.labels[row] for row in points.rows.tolist()]

    @work(exclusive=True, group="work")
    async def action_error(self, step: int) -> None:
        """Go to the next wrongly predicted image, the one with the widest margin first."""
        points = self.points
        found = None if points is None else await self._predicted(points)
        if found is None:
            self.note("no prediction of these images yet")
            return
        ours, labels = found
        wrong = errors(ours, labels)
        if not wrong:
            self.note("no image is predicted wrongly")
            return
        here = wrong.index(self.plot.at) if self.plot.at in wrong else -1 if step > 0 else 0
        place = (here + step) % len(wrong)
        at = wrong[place]
        self.visit(at)
        margin = "" if np.isnan(ours.margins[at]) else f", margin {ours.margins[at]:.2f}"
        said = clean(f"{labels[at]} → {ours.names[ours.codes[at]]}")
        self.note(f"error {place + 1} of {len(wrong)}: {said}{margin}")

    # -- neighbours, tags, export ------------------------------------------------------------------

    @work(exclusive=True, group="work")
    async def action_neighbours(self) -> None:
        """List the images nearest to this one in the full feature space."""
        from medvlm_tui.tui.map.neighbours import NeighboursScreen, nearest

        points, at = self.points, self.plot.at
        table = await self.medvlm.results.table(self.cell.keys.get("table", ""))
        if points is None or at < 0 or table is None:
            self.note("walk to an image first")
            return
        found = await asyncio.get_running_loop().run_in_executor(None, partial(nearest, table, int(points.rows[at])))
        title = f"nearest to {clean(points.ids[at])}, cosine distance of the features"
        self.app.push_screen(NeighboursScreen(self.cell.dataset, title, found), self._neighbour)

    def _neighbour(self, image: object) -> None:
        if self.points is not None and isinstance(image, str) and image in self.points.ids:
            self.visit(self.points.ids.index(image))

    def action_tag(self) -> None:
        """Tag the marked images, in the workspace."""
        from medvlm_tui.tui.map.tagging import TagScreen

        if self.points is None or not self.plot.marked:
            self.note("mark images first: space, or v twice for a rectangle")
            return
        names = [one.name.removeprefix("tag ") for one in self.colours if one.name.startswith("tag ")]
        self.app.push_screen(TagScreen(len(self.plot.marked), names), self._tagged)

    def _tagged(self, answer: tuple[str, str] | None) -> None:
        from dataclasses import replace

        from medvlm_tui.tui.map.tagging import keep_tag, known_tags

        app, points = self.medvlm, self.points
        if answer is None or points is None:
            return
        images = [points.ids[at] for at in sorted(self.plot.marked)]
        try:
            path = keep_tag(app.workspace, known_tags(app.workspace, app.request.tags), *answer, images)
        except (MedvlmError, OSError) as error:
            self.note(clean(f"nothing was kept: {error}"))
            return
        app.request = replace(app.request, tags=str(path))
        self.colours, self.coloured = [], 0
        self.note(clean(f"{len(images)} images: {answer[0]}={answer[1]}, kept in {path}; runs use it as --tags"))

    def action_export(self) -> None:
        """Ask which files of the map as it is coloured to write, and where. Nothing is computed."""
        from medvlm_tui.tui.map.export import FILES
        from medvlm_tui.tui.shared.ask_export import ExportScreen

        if self.points is not None:
            self.app.push_screen(ExportScreen(FILES, export_folder(self.medvlm.workspace, "map")), self._asked)

    def _asked(self, asked: Export | None) -> None:
        if asked is not None:
            self._write(asked)

    @work(exclusive=True, group="work")
    async def _write(self, asked: Export) -> None:
        from medvlm_tui.tui.map.export import write

        points = self.points
        if points is None:
            return
        try:
            known = await self.known_colours(points) or [Colouring("class", points.names, points.codes)]
            shown = known[self.coloured]
            writing = partial(write, points, self.cell_title, shown, known, frozenset(self.plot.marked), asked)
            await asyncio.get_running_loop().run_in_executor(None, writing)
        except (MedvlmError, OSError) as error:
            self.note(clean(f"nothing was written: {error}"))
            return
        self.note(clean(f"{', '.join(asked.names)}: {asked.folder}"))
