"""The nearest images of one image in the full feature space, as a list with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean, clean_lines
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.tui.map.data import neighbours
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, spread
from medvlm_tui.tui.states import GREEN, RED

if TYPE_CHECKING:
    from medvlm_tui.core.specs import FeatureTable

COUNT = 30


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One near image; the label is safe to show, the id is as it is."""

    image: str
    label: str
    distance: float
    """Cosine distance, 0 to 2."""
    same: bool
    """It has the class of the image whose neighbour it is."""


def nearest(table: FeatureTable, row: int, count: int = COUNT) -> list[Neighbour]:
    """Return the images nearest to a row of a table, nearest first."""
    near = neighbours(table, row, count)
    vectors = np.asarray(table.matrix[[row, *near]], np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    similar = vectors[1:] @ vectors[0] / np.where(lengths[1:] * lengths[0] > 0, lengths[1:] * lengths[0], 1.0)
    return [
        Neighbour(table.ids[one], clean(table.labels[one]), float(1 - cosine), table.labels[one] == table.labels[row])
        for one, cosine in zip(near, similar.tolist(), strict=True)
    ]


class NeighboursScreen(PlaceScreen):
    """A list of images with their distances, and the one under the cursor; `enter` answers with its id."""

    CSS_PATH = Path(__file__).with_name("map.tcss")
    AUTO_FOCUS = "#near"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "go to it on the map"),
        Binding("escape,N", "leave", "back"),
    ]

    def __init__(self, dataset: str, title: str, found: Sequence[Neighbour]) -> None:
        super().__init__()
        self.dataset, self.list_title, self.found = dataset, title, found

    def body(self) -> ComposeResult:
        """List and picture."""
        with Container(id="near-body"):
            yield Rows(self.list_title, widget_id="near")
            yield Picture("", widget_id="near-image")

    def on_mount(self) -> None:
        """Fill the list once."""
        self.query_one(Picture).can_focus = False
        self.query_one("#near", Rows).set_rows([Row(one.image, partial(_line, one)) for one in self.found])
        self._moved()

    @on(Rows.Moved, "#near")
    def _moved(self) -> None:
        if row := self.query_one("#near", Rows).row:
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

    def action_open(self) -> None:
        """Answer with the image under the cursor."""
        self.dismiss(self.query_one("#near", Rows).row)

    def action_leave(self) -> None:
        """Go back without an answer."""
        self.dismiss(None)


def _line(one: Neighbour, width: int) -> Text:
    right = Text.assemble((one.label, GREEN if one.same else RED), f"  {one.distance:.4f}")
    return spread(Text(clean(one.image)), right, width)
