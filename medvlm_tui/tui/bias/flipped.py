"""The images whose predicted class an overlay changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean, clean_lines
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.tui.bias.data import Flip
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, plain, spread
from medvlm_tui.tui.states import GREEN, GREY, RED


class FlippedScreen(PlaceScreen):
    """A list of images, and the one under the cursor as it is without the overlay."""

    CSS_PATH = Path(__file__).with_name("bias.tcss")
    AUTO_FOCUS = "#flips"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "saliency", "saliency"),
        Binding("escape", "leave", "back"),
    ]

    def __init__(self, dataset: str, title: str, found: Sequence[Flip]) -> None:
        super().__init__()
        self.dataset, self.list_title, self.found = dataset, title, {flip.image: flip for flip in found}

    def body(self) -> ComposeResult:
        """List and picture."""
        with Container(id="flipped-body"):
            yield Rows(self.list_title, widget_id="flips")
            yield Picture("without the overlay", widget_id="flip-image")

    def on_mount(self) -> None:
        """Fill the list once."""
        self.query_one(Picture).can_focus = False
        lines = [Row(image, partial(_line, flip)) for image, flip in self.found.items()]
        nothing = plain(Text("no image changes its class", style=GREY))
        self.query_one("#flips", Rows).set_rows(lines or [nothing])
        self._moved()

    @on(Rows.Moved, "#flips")
    def _moved(self) -> None:
        if row := self.query_one("#flips", Rows).row:
            self._show(row)

    @work(exclusive=True, group="image")
    async def _show(self, image: str) -> None:
        panel = self.query_one(Picture)
        try:
            pixels = await self.medvlm.pictures.picture(self.medvlm.request, self.dataset, image, 128)
        except MedvlmError as error:
            panel.say(Text(clean_lines(f"{error.message}\n{error.hint}")))
            return
        panel.show_drawing(lambda width, height, depth: thumbnail(pixels, width, height, depth))

    def action_saliency(self) -> None:
        """Go to this image's saliency, where there is one."""
        if row := self.query_one("#flips", Rows).row:
            self.medvlm.selection.image = row
            self.medvlm.action_go("saliency")

    def action_leave(self) -> None:
        """Go back to the ranking."""
        self.dismiss(None)


def _line(flip: Flip, width: int) -> Text:
    changes = Text.assemble(
        ("true ", GREY), flip.label, "  ",
        (flip.before, GREEN if flip.before == flip.label else RED), " → ",
        (flip.after, GREEN if flip.after == flip.label else RED),
    )  # fmt: skip
    return spread(Text(clean(flip.image)), changes, width)
