"""The images whose predicted class an overlay changes, each before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean, error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.framed_image import part_of
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.service.picture_client import BurnedIn
from medvlm_tui.tui.bias.data import Flip, ShownImage
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, plain, spread
from medvlm_tui.tui.states import GREEN, GREY, RED

_SIDE_PX = 192


class FlippedScreen(PlaceScreen):
    """The flipped images; the one under the cursor without and with the overlay, and what is predicted of each."""

    CSS_PATH = Path(__file__).with_name("bias.tcss")
    AUTO_FOCUS = "#images"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "saliency", "saliency"),
        Binding("z", "zoom", "zoom"),
        Binding("escape", "leave", "back"),
    ]

    def __init__(
        self,
        dataset: str,
        title: str,
        found: Sequence[Flip],
        burned_in: BurnedIn,
        stored: Callable[[str], ShownImage | None],
    ) -> None:
        """`stored` gives the pictures that the lab has stored of some images, for where the data are not here."""
        super().__init__()
        self.stored = stored
        self.dataset, self.list_title, self.burned_in = dataset, title, burned_in
        self.flips = {flip.image: flip for flip in found}

    def body(self) -> ComposeResult:
        """The list, and two pictures."""
        with Container(id="flipped"):
            yield Rows(self.list_title, widget_id="images")
            with Container(id="before-after"):
                yield Picture("before", widget_id="before", takes_keys=False)
                yield Picture("after", widget_id="after", takes_keys=False)

    def on_mount(self) -> None:
        """Fill the list once."""
        nothing = plain(Text("no image changes its class", style=GREY))
        lines = [Row(flip.image, partial(_line, flip)) for flip in self.flips.values()]
        self.query_one("#images", Rows).set_rows(lines or [nothing])
        self._moved()

    @property
    def image(self) -> str:
        """Id of the image under the cursor, empty when there is none."""
        return self.query_one("#images", Rows).row

    @on(Rows.Moved, "#images")
    def _moved(self) -> None:
        if (flip := self.flips.get(self.image)) is not None:
            self._show(flip)

    @work(exclusive=True, group="image")
    async def _show(self, flip: Flip) -> None:
        """Show the image without and with the overlay; the prediction stands in each frame."""
        word = clean(self.burned_in.word) if self.burned_in.kind == "text" else clean(self.burned_in.kind)
        sides = (("#before", False, "without", flip.before), ("#after", True, f"with {word}", flip.after))
        for name, drawn, title, predicted in sides:
            panel = self.query_one(name, Picture)
            panel.set_title(f"{title}: {predicted}", "right" if predicted == flip.label else "wrong")
            asked = replace(self.burned_in, drawn=drawn)
            try:
                pixels = await self.medvlm.pictures.picture(
                    self.medvlm.request, self.dataset, flip.image, _SIDE_PX, asked
                )
            except MedvlmError as error:
                kept = self.stored(flip.image)
                if kept is None:
                    panel.say(Text(error_text(error)))
                    continue
                pixels = self._part(kept.after if drawn else kept.before, kept.box)
            panel.show_drawing(partial(thumbnail, pixels))

    def _part(self, pixels: NDArray[np.uint8], box: Sequence[int]) -> NDArray[np.uint8]:
        return part_of(pixels, box) if self.burned_in.closer else pixels

    def action_zoom(self) -> None:
        """Show the overlay's place alone, or the whole images."""
        self.burned_in = replace(self.burned_in, closer=not self.burned_in.closer)
        self._moved()

    def action_saliency(self) -> None:
        """Go to this image's saliency, where there is one."""
        if self.image:
            self.medvlm.selection.image = self.image
            self.medvlm.action_go("saliency")

    def action_leave(self) -> None:
        """Go back without an answer."""
        self.dismiss(None)


def _line(flip: Flip, width: int) -> Text:
    changes = Text.assemble(
        ("true ", GREY), flip.label, "  ",
        (flip.before, GREEN if flip.before == flip.label else RED), " → ",
        (flip.after, GREEN if flip.after == flip.label else RED),
    )  # fmt: skip
    return spread(Text(clean(flip.image)), changes, width)
