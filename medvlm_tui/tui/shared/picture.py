"""A frame around text that is drawn for its size: a map, an image, a heat map."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.app import App
from textual.strip import Strip

from medvlm_tui.render.palette import Depth
from medvlm_tui.tui.shared.pane import Pane

Drawing = Callable[[int, int, Depth], Text]
"""Width and height in cells, and the terminal's colours -> lines of text, not larger than that."""
_DEPTHS: dict[str | None, Depth] = {"truecolor": "truecolor", "256": "256", "standard": "16", "windows": "16"}
_ON_LIGHT: dict[Depth, Depth] = {"16": "16-light", "none": "none-light"}


class Picture(Pane):
    """Draws once for each drawing and size."""

    def __init__(
        self, title: str = "", widget_id: str | None = None, centred: bool = True, takes_keys: bool = True
    ) -> None:
        super().__init__(title, widget_id)
        self.can_focus = takes_keys
        self._centred = centred
        self._drawing: Drawing | None = None
        self._words = Text()
        self._lines: list[Text] = []
        self._drawn_for: tuple[int, int, Depth] | None = None

    def show_drawing(self, drawing: Drawing) -> None:
        """Show another picture."""
        self._drawing, self._drawn_for = drawing, None
        self.refresh()

    def say(self, text: Text) -> None:
        """Show words instead of a picture."""
        self._drawing, self._drawn_for, self._words = None, None, text
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the picture."""
        width, height = self.content_size
        drawn_for = (width, height, colour_depth(self.app))
        if self._drawn_for != drawn_for:
            self._drawn_for = drawn_for
            self._lines = list(self._draw(width, height))
        return self.strip(self.overlaid(y, self._lines[y] if y < len(self._lines) else Text()))

    def overlaid(self, y: int, line: Text) -> Text:
        """Return a drawn line with what moves over it; subclasses put a cursor there."""
        return line

    def _draw(self, width: int, height: int) -> list[Text]:
        if width <= 0 or height <= 0:
            return []
        if self._drawing is None:
            return list(self._words.wrap(self.app.console, width))
        lines = list(self._drawing(width, height, colour_depth(self.app)).split("\n", allow_blank=True))
        return _centred(lines, width, height) if self._centred else lines


def colour_depth(app: App[int]) -> Depth:
    """Return how many colours the terminal shows, none under NO_COLOR."""
    depth: Depth = "none" if app.no_color else _DEPTHS.get(app.console.color_system, "none")
    return depth if app.current_theme.dark else _ON_LIGHT.get(depth, depth)


def _centred(lines: list[Text], width: int, height: int) -> list[Text]:
    left = (width - max((line.cell_len for line in lines), default=0)) // 2
    above = [Text()] * ((height - len(lines)) // 2)
    return above + [Text.assemble(" " * left, line) for line in lines]
