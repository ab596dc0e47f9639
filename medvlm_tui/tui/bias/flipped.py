"""The images whose predicted class an overlay changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.bias.data import Flip
from medvlm_tui.tui.shared.image_list import ImageListScreen
from medvlm_tui.tui.shared.rows import Row, plain, spread
from medvlm_tui.tui.states import GREEN, GREY, RED


class FlippedScreen(ImageListScreen):
    """The flipped images, the one under the cursor as it is without the overlay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "saliency", "saliency"),
        Binding("escape", "leave", "back"),
    ]

    def __init__(self, dataset: str, title: str, found: Sequence[Flip]) -> None:
        nothing = plain(Text("no image changes its class", style=GREY))
        lines = [Row(flip.image, partial(_line, flip)) for flip in found]
        super().__init__(dataset, title, lines or [nothing], "without the overlay")

    def action_saliency(self) -> None:
        """Go to this image's saliency, where there is one."""
        if self.image:
            self.medvlm.selection.image = self.image
            self.medvlm.action_go("saliency")


def _line(flip: Flip, width: int) -> Text:
    changes = Text.assemble(
        ("true ", GREY), flip.label, "  ",
        (flip.before, GREEN if flip.before == flip.label else RED), " → ",
        (flip.after, GREEN if flip.after == flip.label else RED),
    )  # fmt: skip
    return spread(Text(clean(flip.image)), changes, width)
