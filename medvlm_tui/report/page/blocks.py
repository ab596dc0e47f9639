"""The parts of a page as records. An analysis hands over sections of them; only this room knows how they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.report.formats.table import Table


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Subtitle:
    """A heading within a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Caution:
    """A paragraph that has to be seen before the numbers beside it."""

    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the run as vector graphics."""

    path: Path
    """The .svg file, below the report's folder."""
    caption: str


@dataclass(frozen=True, slots=True)
class Slider:
    """Two pictures of the same size, one over the other, with a slider between them."""

    first: NDArray[np.uint8]
    """(H, W, 3)"""
    second: NDArray[np.uint8]
    """(H, W, 3)"""
    names: tuple[str, str]
    caption: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Small pictures in a row."""

    pictures: Sequence[tuple[NDArray[np.uint8], str]]
    """(H, W, 3) and what stands below it."""
    caption: str


@dataclass(frozen=True, slots=True)
class Colouring:
    """Values that the points of a dataset are coloured by: its classes, or a tag."""

    name: str
    names: tuple[str, ...]
    """The values, in the order of their colours."""
    values: tuple[int, ...]
    """Position in `names` for each image, -1 where it has none of them."""


@dataclass(frozen=True, slots=True)
class MapImages:
    """The images of a dataset that maps on the page show."""

    title: str
    ids: tuple[str, ...]
    colourings: tuple[Colouring, ...]
    thumbnails: Mapping[int, NDArray[np.uint8]]
    """Position in `ids` -> (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class MapPoints:
    """One map of one model."""

    title: str
    dataset: str
    """Key of `MapViewer.datasets`."""
    image: NDArray[np.int64]
    """(m,) positions in `MapImages.ids`."""
    xy: NDArray[np.float32]
    """(m, 2)"""


@dataclass(frozen=True, slots=True)
class MapViewer:
    """A viewer of maps: one at a time, its classes to switch on and off, an image's picture under the pointer."""

    datasets: Mapping[str, MapImages]
    maps: tuple[MapPoints, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Long text of fixed width, such as JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that are shown when asked for."""

    title: str
    blocks: tuple[Block, ...]


Block = Paragraph | Subtitle | Caution | Table | Drawing | Slider | Gallery | MapViewer | Listing | Fold


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading of its own."""

    name: str
    """Unique; the target of links."""
    title: str
    place: int
    """Sections stand in this order: VERDICT first, RUN last."""
    blocks: tuple[Block, ...] = field(default=())


def figures_in(written: Sequence[Path]) -> dict[str, Path]:
    """Return the figures among the files of a report that a page can show, by their names without a suffix."""
    return {path.stem: path for path in written if path.suffix == ".svg"}


VERDICT, SCORES, STATISTICS, MAPS, SALIENCY, BIAS, PREPROCESSING, CHECK, RUN = range(0, 90, 10)
"""Places of the program's own sections; an analysis of its own takes a number between them."""
