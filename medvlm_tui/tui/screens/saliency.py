"""Saliency: an image, what the classifier looked at, and both together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from medvlm_tui.core.text import clean
from medvlm_tui.render.heat import heat, overlay
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.tui.records import Cell
from medvlm_tui.tui.screens.walk import WalkScreen
from medvlm_tui.tui.states import GREEN, GREY, RED
from medvlm_tui.tui.widgets.picture import Picture

if TYPE_CHECKING:
    from medvlm_tui.core.store import StoredResult


class SaliencyScreen(WalkScreen):
    """Where one sees what a decision rests on."""

    place = "saliency"
    kind = "saliency"
    noun = "saliency map"
    CSS_PATH = "../styles/saliency.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket,left,h,up,k", "image(-1)", "image", key_display="[ ]"),
        Binding("right_square_bracket,right,l,down,j", "image(1)", "next image", show=False),
        Binding("enter", "app.go('map')", "map"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.found: StoredResult | None = None
        self.index = 0

    def body(self) -> ComposeResult:
        """Three pictures side by side, words below."""
        yield Picture("Saliency", widget_id="words")
        with Container(id="pictures"):
            yield Picture("image", widget_id="image")
            yield Picture("map", widget_id="heat")
            yield Picture("overlay", widget_id="overlay")
        yield Static(id="about")

    def say(self, text: Text) -> None:
        """Show words instead of pictures."""
        self.found = None
        self.query_one("#words", Picture).say(text)
        self._show_words(True)

    def _show_words(self, words: bool) -> None:
        self.query_one("#words").display = words
        self.query_one("#pictures").display = self.query_one("#about").display = not words
        self.set_focus(self.query_one("#words" if words else "#image"))

    async def read(self, cell: Cell) -> bool:
        """Read images and maps."""
        found = await self.medvlm.results.result(cell.keys["saliency"])
        if found is None or not len(found.arrays["images"]):
            return False
        self.found, self.index = found, 0
        self._show_words(False)
        self._draw_pictures()
        return True

    def action_image(self, step: int) -> None:
        """Go to another image."""
        if self.found is not None:
            self.index = (self.index + step) % len(self.found.arrays["images"])
            self._draw_pictures()

    def on_resize(self) -> None:
        """All three have another size."""
        self.call_after_refresh(self._draw_pictures)

    def _draw_pictures(self) -> None:
        if self.found is None:
            return
        image, values = self.found.arrays["images"][self.index], self.found.arrays["maps"][self.index]
        # A third of 80 cells is no whole number: all three are drawn as wide as the narrowest frame.
        most = self.app.size.width // 3 - 2
        for name, draw in (
            ("#image", lambda width, height, depth: thumbnail(image, min(width, most), height, depth)),
            ("#heat", lambda width, height, depth: heat(values, min(width, most), height, depth)),
            ("#overlay", lambda width, height, depth: overlay(values, image, min(width, most), height, depth)),
        ):
            self.query_one(name, Picture).show_drawing(draw)
        self.query_one("#image", Picture).set_title(f"image {self.index + 1} of {len(self.found.arrays['images'])}")
        item = self.found.record["items"][self.index]
        self.query_one("#about", Static).update(about(self.cell_title, item, self.found.record))


def about(title: str, item: Mapping[str, Any], record: Mapping[str, Any]) -> Text:
    """Return what is said of one image, names made safe."""
    label, predicted, explained, image = (
        clean(str(item[name])) for name in ("label", "predicted", "explained", "image")
    )
    verdict = ("right", GREEN) if item["label"] == item["predicted"] else ("wrong", RED)
    how = (
        f"RISE, {record['masks']:,} masks of {record['cells']} × {record['cells']} cells, p {record['probability']:g}, "
        f"masked with the {clean(str(record['baseline']))}, seed {record['seed']}; "
        "bright is what raises the decision value"
    )
    decision = Text.assemble(
        ("true ", GREY), label, ("   predicted ", GREY), predicted, "  ", verdict,
        ("   explained ", GREY), explained, (f"  decision value {item['score']:+.2f}", GREY),
    )  # fmt: skip
    return Text("\n").join([Text.assemble((title, "bold"), "   ", image), decision, Text(how, style=GREY)])
