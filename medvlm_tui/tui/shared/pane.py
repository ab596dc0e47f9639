"""A framed, scrolling area drawn line by line: what lists and the matrix share."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Span, Text
from textual.content import Content
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from medvlm_tui.tui.contrast import RGB, readable
from medvlm_tui.tui.keys.named_bindings import NamedBindings

CURSOR, CURSOR_BLURRED = "▸", "›"
"""Signs of the line under the cursor, in the pane with the keys and in the others: seen without colours too."""


class Pane(NamedBindings, Widget, can_focus=True):
    """A frame with a title, a cursor and own scrolling; subclasses draw lines and move the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"pane--cursor", "pane--cursor-blurred", "pane--title"}
    DEFAULT_CSS = """
    Pane {
        border: round $panel-lighten-2;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        padding: 0 1;
        &:focus {
            border: round $accent;
            border-title-color: $accent;
            border-title-style: bold;
            border-subtitle-color: $accent;
        }
        & > .pane--cursor { background: $accent 40%; text-style: bold; }
        & > .pane--cursor-blurred { background: $accent 15%; }
    }
    """

    def __init__(self, title: str = "", widget_id: str | None = None) -> None:
        super().__init__(id=widget_id)
        self.top = 0
        self.set_title(title)

    def set_title(self, title: str, subtitle: str = "") -> None:
        """Name the frame; both texts are shown as they are, never as markup."""
        if title != getattr(self, "_title", None):
            self._title = title
            self.border_title = Content(title) if title else None
        if subtitle != getattr(self, "_subtitle", None):
            self._subtitle = subtitle
            self.border_subtitle = Content(subtitle) if subtitle else None

    @property
    def cursor_mark(self) -> str:
        """Return the sign of the line or cell under the cursor."""
        return CURSOR if self.has_focus else CURSOR_BLURRED

    def cursor_style(self) -> Style:
        """Return the style of the line or cell under the cursor, its ground blended over the pane's."""
        return self.get_component_rich_style("pane--cursor" if self.has_focus else "pane--cursor-blurred")

    def on_cursor(self, text: Text) -> Text:
        """Return a copy of the text on the cursor's ground, its own colours lightened until they are read there."""
        style = self.cursor_style()
        ground = self._rgb(style.bgcolor, foreground=False)
        copy = Text(text.plain, style=self._readable(text.style, ground), end="", no_wrap=True)
        copy.spans = [Span(span.start, span.end, self._readable(span.style, ground)) for span in text.spans]
        copy.stylize_before(style)
        return copy

    def _readable(self, style: str | Style, ground: RGB) -> Style:
        """Return a style whose colour is read on the cursor's ground; a ground of its own gives way to the cursor's."""
        found = self.app.console.get_style(style, default="")
        plain = found.without_color
        if found.color is None:
            return plain
        return plain + Style(color=Color.from_rgb(*readable(self._rgb(found.color, foreground=True), ground)))

    def _rgb(self, colour: Color | None, foreground: bool) -> RGB:
        red, green, blue = (colour or Color.default()).get_truecolor(self.app.ansi_theme, foreground=foreground)
        return red, green, blue

    def strip(self, text: Text) -> Strip:
        """Return a line of the pane's full width."""
        width = self.content_size.width
        text = text.copy()
        text.truncate(width, overflow="ellipsis", pad=True)
        text.end = ""
        text.stylize_before(text.style)  # Rich leaves the style of a text without spans out
        return Strip([*text.render(self.app.console)]).crop(0, width).apply_style(self.rich_style)

    def __init_subclass__(cls, **options: Any) -> None:
        """Make the text of a subclass's lines selectable by mouse."""
        super().__init_subclass__(**options)
        if "render_line" in cls.__dict__:
            draw = cls.__dict__["render_line"]
            setattr(cls, "render_line", lambda self, y: self._selectable(draw(self, y), y))  # noqa: B010 (of a subclass)

    def _selectable(self, strip: Strip, y: int) -> Strip:
        """Return a line whose cells know their places, the selected ones marked."""
        span = None if self.text_selection is None else self.text_selection.get_span(y)
        if span is not None:
            start, end = span[0], strip.cell_length if span[1] == -1 else span[1]
            style = self.screen.get_component_rich_style("screen--selection")
            parts = list(strip.divide([start, min(end, strip.cell_length), strip.cell_length]))
            parts[1] = Strip([Segment(one.text, (one.style or Style()) + style) for one in parts[1]])
            strip = Strip.join(parts)
        return strip.apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text of the lines that are shown."""
        lines = [self.render_line(y).text.rstrip() for y in range(self.content_size.height)]
        return selection.extract("\n".join(lines)), "\n"

    def keep_visible(self, line: int, height: int) -> None:
        """Scroll so that `line` lies within the `height` lines that are shown."""
        if height <= 0:
            return
        if line < self.top:
            self.top = line
        elif line >= self.top + height:
            self.top = line - height + 1

    def on_focus(self) -> None:
        """The cursor looks different with focus."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor looks different without focus."""
        self.refresh()
