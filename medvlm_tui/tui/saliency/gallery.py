"""Every explained image of a cell on one page, those that are predicted wrongly in a frame of their own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from medvlm_tui.core.safe_text import clean
from medvlm_tui.measures.map_noise import MOSTLY_NOISE
from medvlm_tui.render.contact_sheet import Sheet, Tile
from medvlm_tui.render.heat import heat, overlay
from medvlm_tui.render.palette import Depth
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.stages.records.saliency import ExplainedImage, SaliencyRecord
from medvlm_tui.tui.shared.picture import Picture, colour_depth
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.states import GREEN, GREY, RED, YELLOW

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored

VIEWS = ("overlay", "map", "image")
LEAST_TILE = 20
"""Cells of a tile's width from which a picture in it is recognised."""


class SheetPane(Picture):
    """A page of framed pictures with a cursor; drawn once a page, the cursor alone costs the lines of two tiles."""

    def __init__(self) -> None:
        super().__init__("Gallery", widget_id="sheet", centred=False)
        self.sheet = Sheet(1, 1, 1, 1)
        self.at = 0

    def overlaid(self, y: int, line: Text) -> Text:
        """Draw the cursor's frame."""
        return self.sheet.with_cursor(self.at, y, line)


class GalleryScreen(PlaceScreen):
    """The page; `enter` opens an image, dismissing with its place in the result."""

    CSS_PATH = Path(__file__).with_name("saliency.tcss")
    AUTO_FOCUS = "#sheet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "move(1,0)", "choose", key_display="arrows"),
        Binding("left,h", "move(-1,0)", "left", show=False),
        Binding("up,k", "move(0,-1)", "up", show=False),
        Binding("down,j", "move(0,1)", "down", show=False),
        Binding("enter", "open", "open"),
        Binding("o", "view", "overlay, map, image"),
        Binding("w", "wrong", "next wrong one"),
        Binding("escape,a", "leave", "back"),
    ]

    def __init__(self, title: str, found: Stored[SaliencyRecord], at: int) -> None:
        super().__init__()
        self.cell_title, self.found, self.at = title, found, at
        self.view = VIEWS[0]
        self.drawn: dict[tuple[int, str, int, int, Depth], Text] = {}
        """Pictures of tiles, by image, view, size and colours."""

    def body(self) -> ComposeResult:
        """The page, and a line about the image under the cursor."""
        yield SheetPane()
        yield Static(id="about-image")

    @property
    def items(self) -> tuple[ExplainedImage, ...]:
        """The explained images."""
        return self.found.record.items

    def show(self) -> None:
        """Draw the page."""
        self.call_after_refresh(self.draw)

    def on_resize(self) -> None:
        """Other tiles fit."""
        self.call_after_refresh(self.draw)

    # -- drawing -----------------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw the tiles that are in view: those that are known at once, the others as they come."""
        pane = self.query_one(SheetPane)
        width, height = pane.content_size
        if width < 4 or height < 4:
            return
        pane.sheet = Sheet.fitting(len(self.items), width, height, LEAST_TILE, self.at)
        pane.at = self.at
        wrong = sum(item.label != item.predicted for item in self.items)
        said = f"{len(self.items)} explained, {wrong} predicted wrongly: {self.cell_title}"
        pane.set_title(said, f"{self.view}   {pane.sheet.where}".rstrip())
        pane.show_drawing(self._page)
        self.query_one("#about-image", Static).update(self._about())
        self._draw_tiles()

    def _page(self, _width: int, _height: int, depth: Depth) -> Text:
        sheet = self.query_one(SheetPane).sheet
        return sheet.text({at: self._tile(at, sheet, depth) for at in sheet.shown})

    def _tile(self, at: int, sheet: Sheet, depth: Depth) -> Tile:
        item = self.items[at]
        wrong = item.label != item.predicted
        mark = ("✗" if wrong else "✓") + ("~" if item.mostly_noise else "")
        picture = self.drawn.get((at, self.view, *sheet.inside, depth), Text(""))
        room = sheet.inside[0] - len(mark) - 3
        name = clean(item.image)
        # A path's end tells images apart.
        name = name if cell_len(name) <= room else f"…{name[-max(1, room - 1) :]}"
        return Tile(f"{mark} {name}", RED if wrong else GREY, picture, strong=wrong)

    @work(exclusive=True, group="tiles", thread=True)
    def _draw_tiles(self) -> None:
        """Draw the tiles in view that nobody has drawn yet, and show them a few at a time."""
        worker, depth = get_current_worker(), colour_depth(self.app)
        sheet, view = self.query_one(SheetPane).sheet, self.view
        missing = [at for at in sheet.shown if (at, view, *sheet.inside, depth) not in self.drawn]
        for number, at in enumerate(missing):
            if worker.is_cancelled:
                return
            self.drawn[at, view, *sheet.inside, depth] = self._picture(at, view, *sheet.inside, depth)
            if number % 8 == 7 or number == len(missing) - 1:
                self.app.call_from_thread(self._repaint)

    def _repaint(self) -> None:
        pane = self.query_one(SheetPane)
        pane.show_drawing(self._page)

    def _picture(self, at: int, view: str, width: int, height: int, depth: Depth) -> Text:
        arrays = self.found.arrays
        region = arrays["lesions"][at] if "lesions" in arrays else None
        draw = {
            "overlay": partial(overlay, arrays["maps"][at], arrays["images"][at], region=region),
            "map": partial(heat, arrays["maps"][at]),
            "image": partial(thumbnail, arrays["images"][at], region=region),
        }[view]
        return draw(width, height, depth)

    def _about(self) -> Text:
        item = self.items[self.at]
        verdict = ("right", GREEN) if item.label == item.predicted else ("wrong", RED)
        line = Text.assemble(
            (clean(item.image), "bold"), ("   true ", GREY), clean(item.label), ("   predicted ", GREY),
            clean(item.predicted), "  ", verdict, ("   explained ", GREY), clean(item.explained),
            no_wrap=True, overflow="ellipsis",
        )  # fmt: skip
        if item.mostly_noise:
            line.append(f"   ~ {MOSTLY_NOISE}", YELLOW)
        return line

    # -- keys --------------------------------------------------------------------------------------

    def action_move(self, across: int, down: int) -> None:
        """Go to a neighbouring tile."""
        self._go(self.at + across + down * self.query_one(SheetPane).sheet.columns)

    def action_wrong(self) -> None:
        """Go to the next image that is predicted wrongly."""
        count = len(self.items)
        after = [(self.at + step) % count for step in range(1, count + 1)]
        self._go(next((at for at in after if self.items[at].label != self.items[at].predicted), self.at))

    def _go(self, at: int) -> None:
        if not 0 <= at < len(self.items) or at == self.at:
            return
        self.at = at
        pane = self.query_one(SheetPane)
        if at in pane.sheet.shown:
            pane.at = at
            pane.refresh()
            self.query_one("#about-image", Static).update(self._about())
        else:
            self.draw()

    def action_view(self) -> None:
        """Show overlays, maps or images."""
        self.view = VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)]
        self.draw()

    def action_open(self) -> None:
        """Show the image under the cursor large."""
        self.dismiss(self.at)

    def action_leave(self) -> None:
        """Go back to the image that was shown."""
        self.dismiss(None)
