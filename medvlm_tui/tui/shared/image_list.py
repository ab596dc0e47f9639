"""A list of images beside the picture of the one under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container

from medvlm_tui.core.safe_text import error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows

_SIDE_PX = 128


class ImageListScreen(PlaceScreen):
    """Shows images of one dataset; subclasses draw their lines, and bind the keys that choose one and leave."""

    AUTO_FOCUS = "#images"
    DEFAULT_CSS = """
    ImageListScreen #image-list { layout: horizontal; height: 1fr; }
    ImageListScreen #images { width: 1fr; height: 1fr; }
    ImageListScreen #image { width: 40%; height: 1fr; padding: 0; }
    """

    def __init__(self, dataset: str, title: str, rows: Sequence[Row], picture_title: str = "") -> None:
        """`rows` have the images' ids; a row without one is a remark."""
        super().__init__()
        self.dataset, self.list_title, self.list_rows, self.picture_title = dataset, title, rows, picture_title

    def body(self) -> ComposeResult:
        """List and picture."""
        with Container(id="image-list"):
            yield Rows(self.list_title, widget_id="images")
            yield Picture(self.picture_title, widget_id="image", takes_keys=False)

    def on_mount(self) -> None:
        """Fill the list once."""
        self.query_one("#images", Rows).set_rows(self.list_rows)
        self._moved()

    @property
    def image(self) -> str:
        """Id of the image under the cursor, empty when there is none."""
        return self.query_one("#images", Rows).row

    @on(Rows.Moved, "#images")
    def _moved(self) -> None:
        if self.image:
            self._show(self.image)

    @work(exclusive=True, group="image")
    async def _show(self, image: str) -> None:
        panel = self.query_one(Picture)
        try:
            pixels = await self.medvlm.pictures.picture(self.medvlm.request, self.dataset, image, _SIDE_PX)
        except MedvlmError as error:
            panel.say(Text(error_text(error)))
            return
        panel.show_drawing(partial(thumbnail, pixels))

    def action_leave(self) -> None:
        """Go back without an answer."""
        self.dismiss(None)
