"""Saliency: an image, what the classifier looked at, and both together; growing while masks come in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.map_noise import MOSTLY_NOISE, mostly_noise
from medvlm_tui.render.heat import colour_bar, heat, overlay
from medvlm_tui.render.palette import Depth
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.saliency import PreviewRecord, SaliencyRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.saliency import SALIENCY
from medvlm_tui.tui.saliency import save
from medvlm_tui.tui.saliency.words import asked, decision, error_so_far, made, quality, so_far
from medvlm_tui.tui.shared.exports import export_folder
from medvlm_tui.tui.shared.picture import Drawing, Picture
from medvlm_tui.tui.shared.result_place import WalkScreen
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state import messages
from medvlm_tui.tui.state.survey_rows import Cell

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored

STAGES = ("extract", "probe", "saliency", "report")
_SCALE_FROM = 8
"""Lines of a picture from which two are spent on its colour scale."""
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

    def body(self) -> ComposeResult:
        """Three pictures side by side, words below."""
        yield Picture("Saliency", widget_id="words")
        with Container(id="pictures"):
            yield Picture("image", widget_id="image")
            yield Picture("map", widget_id="heat")
            yield Picture("overlay", widget_id="overlay")
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
        self.set_focus(self.query_one("#words" if words else "#image"))

    # -- reading -----------------------------------------------------------------------------------

    async def read(self, cell: Cell) -> bool:
        """Read images and maps."""
        found = await self.medvlm.results.read(cell.keys["saliency"], SALIENCY.record)
        if found is None or not len(found.arrays["images"]):
            return False
        self.found, self.index, self.explained = found, 0, 0
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
        index, shown, values, cell = self.index, self.explained, self._values(found), self.cell
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
        """All three have another size."""
        self.call_after_refresh(self._draw_pictures)

    def _values(self, found: Stored[Any]) -> np.ndarray[Any, Any]:
        if self.explained and "class_maps" in found.arrays:
            values: np.ndarray[Any, Any] = found.arrays["class_maps"][self.index, self.explained]
            return values
        first: np.ndarray[Any, Any] = found.arrays["maps"][self.index]
        return first

    def _draw_pictures(self) -> None:
        found = self.found
        if found is None:
            return
        self.index %= len(found.arrays["images"])
        image, values = found.arrays["images"][self.index], self._values(found)
        # A third of 80 cells is no whole number: all three are drawn as wide as the narrowest frame.
        most = self.app.size.width // 3 - 2
        lesions = found.arrays.get("lesions") if self.outlined else None
        region = None if lesions is None else lesions[self.index]
        errors = found.arrays["errors"][self.index] if self.shows_errors and "errors" in found.arrays else None
        for name, draw in (
            ("#image", partial(thumbnail, image, region=region)),
            ("#heat", partial(scaled, values if errors is None else errors, errors is not None)),
            ("#overlay", partial(overlay, values, image, region=region)),
        ):
            self.query_one(name, Picture).show_drawing(partial(_no_wider, draw, most))
        self.query_one("#image", Picture).set_title(f"image {self.index + 1} of {len(found.arrays['images'])}")
        self._head_map(found)
        self.query_one("#about", Static).update(self._about(found))

    def _head_map(self, found: Stored[SaliencyRecord] | Stored[PreviewRecord]) -> None:
        """Name the map's frame; of a map that is mostly noise the frame says so, in the colour of warnings."""
        record = found.record
        if isinstance(record, PreviewRecord):
            error = self._error(found)
            noisy = mostly_noise(error)
        else:
            item = record.items[self.index]
            error = item.relative_error
            noisy = not self.explained and (item.mostly_noise or (error is not None and mostly_noise(error)))
        panel = self.query_one("#heat", Picture)
        panel.set_class(noisy, "-noise")
        if self.shows_errors and "errors" in found.arrays:
            panel.set_title("standard error", "e shows the map")
            return
        title = "map" if not noisy else MOSTLY_NOISE if error is None else f"{MOSTLY_NOISE}: {error:.2f}"
        panel.set_title(title, self._progress(found) or ("+ adds masks" if noisy else ""))

    def _progress(self, found: Stored[SaliencyRecord] | Stored[PreviewRecord]) -> str:
        """Return `1,536 / 4,096 masks` and the standard error of maps that grow."""
        record = found.record
        if not isinstance(record, PreviewRecord):
            return ""
        error = self._error(found)
        said = "" if error is None else f" · standard error {error:.2f}"
        return f"{record.items[self.index].masks:,} / {record.masks_asked:,} masks{said}"

    def _error(self, found: Stored[Any]) -> float | None:
        return error_so_far(found.arrays["maps"][self.index], found.arrays["errors"][self.index])

    def _about(self, found: Stored[SaliencyRecord] | Stored[PreviewRecord]) -> Text:
        record = found.record
        if isinstance(record, PreviewRecord):
            growing = record.items[self.index]
            return Text("\n").join([*decision(self.cell_title, growing, growing.explained), so_far(self._error(found))])
        item = record.items[self.index]
        names = item.explained_classes or (item.explained,)
        lines, said = decision(self.cell_title, item, names[self.explained % len(names)]), quality(item)
        return Text("\n").join([*lines, *([said] if said.plain else []), made(record, item)])


def scaled(values: np.ndarray[Any, Any], from_zero: bool, width: int, height: int, depth: Depth) -> Text:
    """Return a map with its colour scale below it; standard errors are drawn from zero on."""
    low, high = (0.0 if from_zero else float(values.min())), float(values.max())
    if height < _SCALE_FROM:
        return heat(values, width, height, depth, (low, high))
    drawn = heat(values, width, height - 2, depth, (low, high))
    across = max(line.cell_len for line in drawn.split("\n"))
    return Text("\n", end="").join([drawn, colour_bar(across, low, high, depth)])


def _no_wider(draw: Drawing, most: int, width: int, height: int, depth: Depth) -> Text:
    return draw(min(width, most), height, depth)
