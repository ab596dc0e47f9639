"""One cell of the scores: everything of its probe, and the images it errs on most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content

from medvlm_tui.core.safe_text import clean, error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.stages.language import ALIGNMENT, ZERO_SHOT
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.tui.scores.cell_detail import flowed, whole, worst_images
from medvlm_tui.tui.scores.language import alignment_blocks, zero_shot_blocks
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREY, RED

if TYPE_CHECKING:
    from medvlm_tui.core.specs import FeatureTable
    from medvlm_tui.core.store.store import Stored

WORST = 4


class CellScreen(PlaceScreen):
    """Folds, confusions, classes, calibration; below, the worst images as thumbnails."""

    CSS_PATH = Path(__file__).with_name("scores.tcss")
    AUTO_FOCUS = "#cell-text"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,i", "app.go('saliency')", "saliency", key_display="enter"),
        Binding("f5", "app.go('map')", "map"),
        Binding("p", "prompts", "prompts"),
        Binding("down,j", "scroll_text(1)", "scroll", key_display="↑ ↓"),
        Binding("up,k", "scroll_text(-1)", "up", show=False),
        Binding("escape", "app.back", "back"),
    ]

    def __init__(self, cell: Cell, probe_key: str) -> None:
        super().__init__()
        self.cell, self.probe_key = cell, probe_key

    def body(self) -> ComposeResult:
        """The numbers, and a row of pictures."""
        with VerticalScroll(id="cell-text"):
            yield Static(id="cell-words")
        with Container(id="worst"):
            for number in range(WORST):
                yield Picture("", widget_id=f"worst-{number}", takes_keys=False)

    def on_mount(self) -> None:
        """Read and draw."""
        board = self.medvlm.board
        name = f"{board.model_name(self.cell.model)} × {board.dataset_name(self.cell.dataset)}"
        self.query_one("#cell-text").border_title = Content(name)
        self.query_one("#worst").border_title = Content("most wrong held-out images")
        self.read()

    def on_resize(self) -> None:
        """The blocks stand side by side where they fit."""
        self.call_after_refresh(self.read)

    @work(exclusive=True, group="cell")
    async def read(self) -> None:
        """Read the probe, write what is said of it, then show the images one by one."""
        words = self.query_one("#cell-words", Static)
        try:
            probe = await self.medvlm.results.read(self.probe_key, PROBE.record)
            table = await self.medvlm.results.table(self.cell.keys.get("table", ""))
        except MedvlmError as error:
            words.update(Text(error_text(error)))
            return
        if probe is None:
            words.update(Text("the details are not in the store", style=GREY))
            return
        width = self.query_one("#cell-text").content_size.width
        lines = whole(probe, table, width, self.medvlm.heat)
        if language := flowed(await self._language(), width):
            lines += [Text(), *language]
        words.update(Text("\n").join(lines))
        await self._show_worst(probe, table)

    async def _language(self) -> list[list[Text]]:
        """Return the blocks about the model's texts, none where it has no such results or they cannot be read."""
        results, keys = self.medvlm.results, self.cell.keys
        try:
            zero_shot = await results.read_record(keys.get("zero_shot", ""), ZERO_SHOT.record)
            alignment = await results.read_record(keys.get("alignment", ""), ALIGNMENT.record)
        except MedvlmError as error:
            return [[Text(error_text(error))]]
        return [*zero_shot_blocks(zero_shot), *alignment_blocks(alignment)]

    async def _show_worst(self, probe: Stored[ProbeRecord], table: FeatureTable | None) -> None:
        found = worst_images(probe, table, WORST) if table is not None else []
        pictures = list(self.query(Picture))
        if len(pictures) < WORST:
            return  # the screen was left while the store was read
        # Four frames of a narrow terminal would hold no picture.
        shown = WORST if self.app.size.width >= 100 else 2
        for number, picture in enumerate(pictures):
            picture.display = number < min(shown, len(found))
        self.query_one("#worst").display = bool(found)
        for picture, (image, truth, predicted, margin) in zip(pictures[:shown], found, strict=False):
            picture.set_title(clean(image.rpartition("/")[2]))
            await self._show_image(
                picture, image, Text.assemble(f"{truth} ", ("→", RED), f" {predicted}  {margin:+.2f}")
            )

    async def _show_image(self, picture: Picture, image: str, words: Text) -> None:
        app = self.medvlm
        try:
            pixels = await app.pictures.picture(app.request, self.cell.dataset, image, 96)
        except MedvlmError as error:
            picture.say(Text.assemble(words, "\n", (clean(error.message), GREY)))
            return

        def draw(width: int, height: int, depth: object) -> Text:
            head = words.copy()
            head.truncate(width, overflow="ellipsis")
            return Text("\n").join([head, thumbnail(pixels, width, max(1, height - 1), depth)])  # type: ignore[arg-type]

        picture.show_drawing(draw)

    @work(exclusive=True, group="prompts")
    async def action_prompts(self) -> None:
        """Edit the prompts of zero-shot, and see what each edit does to the score."""
        from medvlm_tui.tui.scores.prompts import PromptsScreen

        board, key = self.medvlm.board, self.cell.keys.get("zero_shot", "")
        try:
            record = await self.medvlm.results.read_record(key, ZERO_SHOT.record) if key else None
        except MedvlmError as error:
            self.medvlm.tell(error.message, "error")
            return
        if record is None or "table" not in self.cell.keys:
            self.medvlm.tell("no zero-shot of this cell yet: run it with the stage zero_shot")
            return
        name = f"{board.model_name(self.cell.model)} × {board.dataset_name(self.cell.dataset)}"
        await self.app.push_screen(PromptsScreen(self.cell, name, record))

    def action_scroll_text(self, lines: int) -> None:
        """Scroll the numbers."""
        self.query_one("#cell-text", VerticalScroll).scroll_relative(y=lines, animate=False)
