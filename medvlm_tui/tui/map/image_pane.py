"""One image under the cursor: its thumbnail, its class, what is predicted of it, and its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from medvlm_tui.render.palette import class_colours, class_letters
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.tui.map.data import Prediction
from medvlm_tui.tui.shared.picture import Picture, colour_depth
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.states import GREEN, GREY, RED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts about one image; every text is safe to show."""

    title: str
    image: str
    names: tuple[str, ...]
    """Of the classes."""
    code: int
    predicted: Prediction | None
    neighbours: Sequence[int]
    """Classes of the nearest images in the full space, nearest first."""


class ImagePane(Vertical):
    """A frame with a thumbnail above and words below."""

    DEFAULT_CSS = """
    ImagePane { border: round $panel-lighten-2; border-title-color: $text-muted; }
    ImagePane > Picture { border: none; height: 1fr; padding: 0; }
    ImagePane > #image-facts { height: auto; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        """A picture and its words."""
        yield Picture(widget_id="image-thumbnail", takes_keys=False)
        yield Static(id="image-facts")

    def show_words(self, words: str) -> None:
        """Show words in the place of the thumbnail."""
        self.query_one(Picture).say(Text(words, style=GREY))

    def show_image(self, pixels: NDArray[np.uint8]) -> None:
        """Show a thumbnail."""
        self.query_one(Picture).show_drawing(partial(thumbnail, pixels))

    def show_facts(self, known: ImageFacts | None) -> None:
        """Show what is known of an image; None clears everything."""
        if known is None:
            self.border_title = None
            self.query_one("#image-facts", Static).update(Text())
            return
        self.border_title = Content(known.title)
        self.query_one("#image-facts", Static).update(self._words(known))

    def _words(self, known: ImageFacts) -> Text:
        letters = class_letters(len(known.names))
        colours = class_colours(len(known.names), colour_depth(self.app))

        def named(code: int) -> Text:
            return Text.assemble((letters[code], f"bold {colours[code]}".strip()), " ", known.names[code])

        room = max(8, self.content_size.width - 2)
        # A path's end tells images apart.
        shown = known.image if cell_len(known.image) <= room else f"…{known.image[1 - room :]}"
        lines = [Text(shown, style=GREY, overflow="ellipsis", no_wrap=True)]
        lines.append(Text.assemble(("true  ", GREY), named(known.code)))
        if known.predicted is not None and known.predicted.name in known.names:
            right = known.predicted.name == known.names[known.code]
            verdict = ("right", GREEN) if right else ("wrong", RED)
            code = known.names.index(known.predicted.name)
            lines.append(Text.assemble(("pred  ", GREY), named(code), "  ", verdict))
            lines.append(Text(known.predicted.how, style=GREY))
        else:
            lines.append(Text("pred  no probe of it yet", style=GREY))
        near = [(letters[code], f"bold {colours[code]}".strip()) for code in known.neighbours]
        spaced = [part for letter in near for part in (letter, " ")]
        lines.append(Text.assemble((f"{len(near)} neighbours  ", GREY), *spaced))
        return Text("\n").join(lines)
