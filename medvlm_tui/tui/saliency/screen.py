"""Saliency: an image, what the classifier looked at, and both together; growing while masks come in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.saliency import PreviewRecord, SaliencyRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.saliency import SALIENCY
from medvlm_tui.tui.saliency import save
from medvlm_tui.tui.saliency.beside import BesideModel, beside, map_of, words
from medvlm_tui.tui.saliency.panels import SaliencyPanels, Shown
from medvlm_tui.tui.saliency.words import asked, decision, made, quality, so_far
from medvlm_tui.tui.shared.copying import Copyable, image_copies
from medvlm_tui.tui.shared.exports import export_folder
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.result_place import WalkScreen
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state import messages
from medvlm_tui.tui.state.survey_rows import Cell

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored

STAGES = ("extract", "probe", "saliency", "report")
ADDED_MASKS = 512
"""Two ranges of masks (engine/saliency/masks.py): a range that is whole is never scored again."""


class SaliencyScreen(WalkScreen):
    """Screen that shows which pixels a decision depends on."""

    place = "saliency"
    kind = "saliency"
    noun = "saliency map"
    CSS_PATH = Path(__file__).with_name("saliency.tcss")
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket,left,up,k", "image(-1)", "image", key_display="[ ]"),
        Binding("right_square_bracket,right,down,j", "image(1)", "next image", show=False),
        Binding("a", "gallery", "all images"),
        Binding("b", "beside", "beside"),
        Binding("z", "larger", "larger"),
        Binding("c", "class", "class"),
        Binding("plus", "more_masks", "more masks", key_display="+"),
        Binding("l", "outline", "lesion"),
        Binding("e", "errors", "error"),
        Binding("r", "explain", "explain the chosen image"),
        Binding("x", "save", "PNG"),
        Binding("enter", "app.go('map')", "map"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.found: Stored[SaliencyRecord] | Stored[PreviewRecord] | None = None
        self.growing = False
        """True while the map on the screen is not finished."""
        self.outlined = True
        """The lesion is outlined, where its place is known."""
        self.shows_errors = False
        """The standard errors stand in the place of the map."""
        self.index = 0
        self.explained = 0
        """Which of the image's explained classes."""
        self.layout_number = 0
        """Which of the layouts of pictures is shown."""
        self.other: BesideModel | None = None
        """The model whose map stands beside this one's."""
        self.other_id = ""

    def body(self) -> ComposeResult:
        """Three pictures side by side, words below."""
        yield Picture("Saliency", widget_id="words")
        yield SaliencyPanels(id="pictures")
        yield Static(id="about")

    def show(self) -> None:
        """Show the maps so far while a run makes them, the current cell's result otherwise."""
        if self._preview_key():
            self._grow()
            return
        if self.growing:
            self.growing, self.shown_key = False, ""
        super().show()
        self._choose(self.medvlm.selection.image)

    def say(self, text: Text) -> None:
        """Show words instead of pictures."""
        self.found = None
        self.query_one("#words", Picture).say(text)
        self._show_words(True)

    def _show_words(self, words: bool) -> None:
        self.query_one("#words").display = words
        self.query_one("#pictures").display = self.query_one("#about").display = not words
        self.set_focus(self.query_one("#words" if words else "#overlay"))

    # -- reading -----------------------------------------------------------------------------------

    async def read(self, cell: Cell) -> bool:
        """Read images and maps."""
        found = await self.medvlm.results.read(cell.keys["saliency"], SALIENCY.record)
        if found is None or not len(found.arrays["images"]):
            return False
        self.found, self.index, self.explained = found, 0, 0
        self.other, self.other_id = None, ""
        self._show_words(False)
        self._choose(self.medvlm.selection.image)
        self._draw_pictures()
        return True

    def _choose(self, image: str) -> None:
        """Show the map of the image that was chosen elsewhere; say so when it has none."""
        if not image or self.found is None:
            return
        ids = [item.image for item in self.found.record.items]
        if image in ids:
            self.index, self.explained, self.medvlm.selection.image = ids.index(image), 0, ""
            self._draw_pictures()
        else:
            self.medvlm.tell(f"{image} has no map yet: r makes one, if it is held out")

    def _preview_key(self) -> str:
        """Return where the maps so far of the running step lie, empty when none are being made."""
        board = self.medvlm.board
        task = board.tasks.get(board.current)
        return task.preview if task is not None and board.running and task.state == "running" else ""

    @on(messages.PreviewChanged)
    def _grow(self) -> None:
        if key := self._preview_key():
            self._read_preview(key)

    @work(exclusive=True, group="load")
    async def _read_preview(self, key: str) -> None:
        """Draw the maps so far; one that is replaced or gone in this moment is drawn with the next."""
        board = self.medvlm.board
        task = board.tasks.get(board.current)
        try:
            found = await self.medvlm.results.changing(key, PreviewRecord)
        except MedvlmError:
            return
        if found is None or task is None:
            return
        if not self.growing:
            self.index = 0
        self.cell = board.cell(task.step.model, task.step.dataset)
        self.found, self.growing, self.explained = found, True, 0
        self._show_words(False)
        self._draw_pictures()

    # -- keys --------------------------------------------------------------------------------------

    def action_image(self, step: int) -> None:
        """Go to another image."""
        if self.found is not None:
            self.index, self.explained = (self.index + step) % len(self.found.arrays["images"]), 0
            self._draw_pictures()

    def action_class(self) -> None:
        """Show the map of the next class that was explained."""
        record = None if self.found is None else self.found.record
        if isinstance(record, SaliencyRecord):
            count = max(1, len(record.items[self.index].explained_classes))
            self.explained = (self.explained + 1) % count
            self._draw_pictures()
            if count == 1:
                self.medvlm.tell("one class was explained; `--rise-explain` names more")

    def action_outline(self) -> None:
        """Outline the lesion, or leave the outline out."""
        found = self.found
        if found is None or "lesions" not in found.arrays or not found.arrays["lesions"][self.index].any():
            self.medvlm.tell("no mask of a lesion is known for this image")
            return
        self.outlined = not self.outlined
        self._draw_pictures()

    def action_errors(self) -> None:
        """Show the standard error of each pixel of the map, or the map again."""
        if self.found is None or "errors" not in self.found.arrays:
            self.medvlm.tell("no standard errors are stored for this map")
            return
        self.shows_errors = not self.shows_errors
        self._draw_pictures()

    def action_larger(self) -> None:
        """Show fewer pictures, each of them larger; after the largest, all again."""
        self.layout_number += 1
        self._draw_pictures()

    @work(exclusive=True, group="beside")
    async def action_beside(self) -> None:
        """Show another model's map of the same image beside this one, then the next one's, then none."""
        found, board = self._finished(), self.medvlm.board
        there = [cell for cell in board.with_result("saliency") if cell.dataset == self.cell.dataset]
        others = [cell for cell in there if cell.model != self.cell.model]
        if found is None or not others:
            self.medvlm.tell("no other model has saliency maps of this dataset" if found else "there is no map yet")
            return
        ids = ["", *(cell.model for cell in others)]
        number = (ids.index(self.other_id) + 1) % len(ids) if self.other_id in ids else 0
        self.other_id, self.other, self.layout_number = ids[number], None, 0
        if number:
            try:
                theirs = await self.medvlm.results.read(others[number - 1].keys["saliency"], SALIENCY.record)
            except MedvlmError as error:
                self.medvlm.tell(error.message, "error")
                return
            if theirs is not None:
                measure = partial(beside, board.model_name(ids[number]), theirs, found)
                self.other = await asyncio.get_running_loop().run_in_executor(None, measure)
        self._draw_pictures()

    def action_gallery(self) -> None:
        """Show every explained image of this cell on a page."""
        from medvlm_tui.tui.saliency.gallery import GalleryScreen

        found = self._finished()
        if found is None:
            self.medvlm.tell("masks still come in" if self.growing else "there is no map yet")
            return
        self.medvlm.push_screen(GalleryScreen(self.cell_title, found, self.index), self._chosen)

    def _chosen(self, index: object) -> None:
        """Show the image that was chosen on the page, if one was."""
        if isinstance(index, int) and self.found is not None:
            self.index, self.explained = index, 0
            self._draw_pictures()

    async def action_explain(self) -> None:
        """Ask for the map of the image that was chosen on the map, with its cost."""
        image = self.medvlm.selection.image
        if not image:
            self.medvlm.tell("choose an image on the map first (F5)")
            return
        await self.medvlm.ask_run(self._request(image), note=f"the map of {image}")

    async def action_more_masks(self) -> None:
        """Ask for the same maps from more masks: those that were scored count on, only the added ones cost."""
        found = self._finished()
        if found is None:
            self.medvlm.tell("masks still come in" if self.growing else "there is no map yet")
            return
        record = found.record
        masks = record.masks
        params = replace(asked(record), masks=masks + ADDED_MASKS, stop_error=0.0)
        request = self._request().having(params)
        if protocol := await self._protocol(record):
            request = replace(request, protocols=(protocol,))
        count = len(record.items)
        note = (
            f"{ADDED_MASKS} more masks for {count} {'image' if count == 1 else 'images'}, added to the {masks:,} there"
        )
        await self.medvlm.ask_run(request, place="saliency", note=note, kept_masks=masks)

    async def action_save(self) -> None:
        """Write the map on the screen as a PNG, and its values as .npy; nothing is computed."""
        found = self._finished()
        if found is None:
            self.medvlm.tell("masks still come in: x saves the finished map" if self.growing else "there is no map yet")
            return
        folder, board = export_folder(self.medvlm.workspace, "saliency"), self.medvlm.board
        index, shown, values, cell = self.index, self.explained, self._shown(found).values, self.cell
        write = lambda: save.write_map(save.explained(board, cell, found), found, index, shown, values, folder)  # noqa: E731
        try:
            picture, raw = await asyncio.get_running_loop().run_in_executor(None, write)
        except (MedvlmError, OSError) as error:
            self.medvlm.tell(f"not saved: {error}", "error")
            return
        self.medvlm.tell(f"saved {picture} and {raw.name}")

    async def _protocol(self, record: SaliencyRecord) -> str:
        """Return the protocol of the probe whose maps these are, empty where it is not stored any more."""
        probe = await self.medvlm.results.read_record(record.probe, PROBE.record)
        return "" if probe is None else probe.protocol

    def request_here(self) -> RunRequest:
        """Return the run that makes exactly these maps."""
        request = self._request() if self.cell.model else super().request_here()
        found = self._finished()
        return request if found is None else request.having(asked(found.record))

    def copies(self) -> list[Copyable]:
        """Return the command line, the image's id and path, and what is said of the map."""
        found = self.found
        if found is None:
            return super().copies()
        image = found.record.items[self.index].image
        said = self._about(self._shown(found)).plain
        copies = [*super().copies(), *image_copies(self.medvlm.board, self.cell.dataset, image)]
        return [*copies, Copyable("what is said of the map", said)]

    def _finished(self) -> Stored[SaliencyRecord] | None:
        """Return the result on the screen, None while its maps still grow or where there is none."""
        found = self.found
        if found is None or self.growing or not isinstance(found.record, SaliencyRecord):
            return None
        return found

    def _request(self, *images: str) -> RunRequest:
        request, cell = self.medvlm.request, self.cell
        shown = replace(request, models=(cell.model,), datasets=(cell.dataset,), stages=STAGES)
        return shown.having(replace(request.of(SaliencyParams), images=images))

    # -- drawing -----------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """All pictures have another size."""
        self.call_after_refresh(self._draw_pictures)

    def _draw_pictures(self) -> None:
        found = self.found
        if found is None:
            return
        self.index %= len(found.arrays["images"])
        shown = self._shown(found)
        self.query_one(SaliencyPanels).draw(shown)
        self.query_one("#about", Static).update(self._about(shown))

    def _shown(self, found: Stored[SaliencyRecord] | Stored[PreviewRecord]) -> Shown:
        name = self.medvlm.board.model_name(self.cell.model)
        other = None if self.growing else self.other
        return Shown(
            found, self.index, self.explained, self.outlined, self.shows_errors, self.layout_number, name, other
        )

    def _about(self, shown: Shown) -> Text:
        record = shown.found.record
        if isinstance(record, PreviewRecord):
            growing = record.items[self.index]
            return Text("\n").join([*decision(self.cell_title, growing, growing.explained), so_far(shown.error)])
        item = record.items[self.index]
        names = item.explained_classes or (item.explained,)
        explained = names[self.explained % len(names)]
        lines, said = decision(self.cell_title, item, explained), quality(item)
        compared = [] if shown.other is None else self._compared(shown.other, item.image, explained)
        return Text("\n").join([*lines, *compared, *([said] if said.plain else []), made(record, item)])

    def _compared(self, other: BesideModel, image: str, explained: str) -> list[Text]:
        found = self._finished()
        ours = None if found is None else map_of(found, image, explained)
        return [] if found is None or ours is None else [words(other, ours, found.record.cells)]
