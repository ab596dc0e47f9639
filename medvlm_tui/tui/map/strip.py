"""The marked images of a map as a strip of thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp

MOST = 8
# Cells of one thumbnail with its frame.
_WIDTH, _SIDE_PX = 20, 64


class MarkedStrip(Horizontal):
    """The last marked images, as many as fit; hidden while there is none."""

    DEFAULT_CSS = """
    MarkedStrip { height: 10; display: none; }
    MarkedStrip > Picture { width: 1fr; height: 100%; padding: 0; }
    """

    def compose(self) -> ComposeResult:
        """Frames, filled when images are marked."""
        for number in range(MOST):
            yield Picture("", widget_id=f"marked-{number}", takes_keys=False)

    def show_images(self, dataset: str, images: Sequence[str]) -> None:
        """Show the last of the images of a dataset."""
        self.display = bool(images)
        fit = max(1, min(MOST, self.app.size.width // _WIDTH))
        self._fill(dataset, images[-fit:])

    @work(exclusive=True, group="marked")
    async def _fill(self, dataset: str, images: Sequence[str]) -> None:
        app = cast("MedvlmApp", self.app)
        pictures = list(self.query(Picture))
        for number, picture in enumerate(pictures):
            picture.display = number < len(images)
        for picture, image in zip(pictures, images, strict=False):
            picture.set_title(clean(image.rpartition("/")[2]))
            try:
                pixels = await app.pictures.picture(app.request, dataset, image, _SIDE_PX)
            except MedvlmError as error:
                picture.say(Text(clean(error.message), style=GREY))
                continue
            picture.show_drawing(partial(thumbnail, pixels))
