"""Models, datasets and images in the palette, by parts of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.selection import Selection
from medvlm_tui.tui.state.store_reader import Results

MOST_IMAGES = 50
"""Images that one search offers."""


@dataclass(frozen=True, slots=True)
class Found:
    """A thing with its name, safe to show."""

    name: str
    what: str
    go: Callable[[], object]


class Program(Protocol):
    """The part of the program that is needed here."""

    board: Board
    selection: Selection
    results: Results

    def action_go(self, name: str) -> None:
        """Show a place."""

    def redraw(self) -> None:
        """Draw the place that is shown anew."""

    def call_after_refresh(self, callback: Callable[[], object]) -> bool:
        """Call once the screen is drawn."""


class ThingsProvider(Provider):
    """Offers what the survey and the current cell's table know."""

    async def search(self, query: str) -> Hits:
        """Yield models and datasets, then images of the current cell, that contain every word of the query."""
        words = query.lower().split()
        for found in self._named():
            if words and all(word in f"{found.name} {found.what}".lower() for word in words):
                yield Hit(0.9, Content(found.name), found.go, text=found.name, help=found.what)
        async for hit in self._images(words):
            yield hit

    async def discover(self) -> Hits:
        """Yield nothing before something is typed: actions stand there."""
        for _ in ():
            yield DiscoveryHit("", lambda: None)

    def _named(self) -> Iterator[Found]:
        app = cast("Program", cast("object", self.app))
        for model in app.board.models.values():
            yield Found(model.name, f"model {clean(model.id)}, {model.group}", partial(_choose, app, model=model.id))
        for row in app.board.datasets.values():
            yield Found(row.name, f"dataset {clean(row.id)}", partial(_choose, app, dataset=row.id))

    async def _images(self, words: list[str]) -> Hits:
        app = cast("Program", cast("object", self.app))
        cell = app.board.cell(app.selection.model, app.selection.dataset)
        table = await app.results.table(cell.keys["table"]) if words and cell.keys.get("table") else None
        left = MOST_IMAGES
        for image in table.ids if table is not None else ():
            if all(word in image.lower() for word in words):
                yield Hit(0.5, Content(clean(image)), partial(_show, app, image), text=clean(image), help="image")
                left -= 1
                if not left:
                    return


def _choose(app: Program, model: str = "", dataset: str = "") -> None:
    """Put the cursor of home on a model or a dataset."""
    selection = app.selection
    selection.model, selection.dataset = model or selection.model, dataset or selection.dataset
    app.action_go("home")
    app.call_after_refresh(app.redraw)


def _show(app: Program, image: str) -> None:
    """Show an image's saliency, which offers to make one where there is none."""
    app.selection.image = image
    app.action_go("saliency")
    app.call_after_refresh(app.redraw)
