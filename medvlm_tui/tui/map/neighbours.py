"""The nearest images of one image in the full feature space, as a list with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from rich.text import Text
from textual.binding import Binding, BindingType

from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.map.data import neighbours
from medvlm_tui.tui.shared.image_list import ImageListScreen
from medvlm_tui.tui.shared.rows import Row, spread
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


class NeighboursScreen(ImageListScreen):
    """Images with their distances; `enter` answers with the id of the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "go to it on the map"),
        Binding("escape,N", "leave", "back"),
    ]

    def __init__(self, dataset: str, title: str, found: Sequence[Neighbour]) -> None:
        super().__init__(dataset, title, [Row(one.image, partial(_line, one)) for one in found])

    def action_open(self) -> None:
        """Answer with the image under the cursor."""
        self.dismiss(self.image)


class MarkedScreen(ImageListScreen):
    """The marked images with their groups; `enter` answers with the id of the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "go to it on the map"),
        Binding("escape,o", "leave", "back"),
    ]
    DEFAULT_CSS = """
    MarkedScreen #image { width: 62%; }
    """

    def __init__(self, dataset: str, title: str, found: Sequence[tuple[str, str]]) -> None:
        """`found` are ids and names of groups, which are safe to show."""
        rows = [Row(image, partial(_marked, image, group)) for image, group in found]
        super().__init__(dataset, title, rows)

    def action_open(self) -> None:
        """Answer with the image under the cursor."""
        self.dismiss(self.image)


def _marked(image: str, group: str, width: int) -> Text:
    return spread(Text(clean(image)), Text(group), width)


def _line(one: Neighbour, width: int) -> Text:
    right = Text.assemble((one.label, GREEN if one.same else RED), f"  {one.distance:.4f}")
    return spread(Text(clean(one.image)), right, width)
