"""Data: what the check of a dataset found, its duplicates as pairs of pictures, and how to get what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean, error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.palette import Depth
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.stages.check import CHECK
from medvlm_tui.stages.records.check import CheckRecord, DuplicateSet
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.data.report import SET, report_rows, set_mark, unchecked_rows
from medvlm_tui.tui.home.rows import dataset_rows
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Rows, plain
from medvlm_tui.tui.state import messages
from medvlm_tui.tui.state.selection import Selection
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored


class DataScreen(PlaceScreen):
    """Screen that shows problems of a dataset before any model is trusted."""

    place = "data"
    CSS_PATH = Path(__file__).with_name("data.tcss")
    AUTO_FOCUS = "#datasets"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "report"),
        Binding("r", "check", "check"),
        Binding("tab", "app.focus_next", "next pane"),
        Binding("escape", "app.back", "back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.found: Stored[CheckRecord] | None = None

    def body(self) -> ComposeResult:
        """Datasets, the report of one, and a pair of its duplicates."""
        with Container(id="data-body"):
            yield Rows("Datasets", widget_id="datasets")
            with Container(id="data-right"):
                yield Rows("Check", widget_id="report")
                yield Picture("", widget_id="pair", centred=False)

    def show(self) -> None:
        """Draw everything; the cursor stands on the dataset that home stands on."""
        board, selection = self.medvlm.board, self.medvlm.selection
        rows = dataset_rows(board.datasets.values(), Selection())
        self.query_one("#datasets", Rows).set_rows(rows, keep=selection.dataset)
        self._show_report()
        self.refresh_bindings()

    @property
    def dataset(self) -> str:
        """Id of the dataset under the cursor."""
        return self.query_one("#datasets", Rows).row

    @property
    def step(self) -> str:
        """Id of its check in a plan."""
        return f"check:{self.dataset}"

    @on(messages.StepMoved)
    def _step_moved(self) -> None:
        self._title()

    @on(Rows.Moved, "#datasets")
    def _dataset_moved(self) -> None:
        self.medvlm.selection.dataset = self.dataset
        self._show_report()
        self.refresh_bindings()

    @on(Rows.Moved, "#report")
    def _set_moved(self) -> None:
        self._show_pair()

    def on_resize(self) -> None:
        """Sentences are wrapped for the width."""
        self.call_after_refresh(self._show_report)

    def _title(self) -> None:
        board = self.medvlm.board
        task = board.tasks.get(self.step)
        name = board.dataset_name(self.dataset)
        if task is not None and board.running and task.state in ("running", "queued"):
            told = f", {task.done:,} of {task.total:,} images" if task.total else ""
            self.query_one("#report", Rows).set_title(f"{name}: checking{told}")
        elif task is not None and task.state == "failed":
            self.query_one("#report", Rows).set_title(f"{name}: {task.note}")
        else:
            self.query_one("#report", Rows).set_title(name)

    @work(exclusive=True, group="report")
    async def _show_report(self) -> None:
        self._title()
        row = self.medvlm.board.datasets.get(self.dataset)
        report = self.query_one("#report", Rows)
        if row is None:
            report.set_rows([plain(Text("no dataset is known yet", style=GREY))])
            return
        key = self.medvlm.board.check_key(row.id)
        try:
            self.found = await self.medvlm.results.read(key, CHECK.record) if key else None
        except MedvlmError as error:
            self.found = None
            said = error_text(error).splitlines()
            report.set_rows([plain(Text(line)) for line in said])
            return
        width = report.content_size.width
        report.set_rows(unchecked_rows(row, width) if self.found is None else report_rows(self.found.record, width))
        self._show_pair()

    def _show_pair(self) -> None:
        panel = self.query_one("#pair", Picture)
        row = self.query_one("#report", Rows).row
        panel.display = self.found is not None
        if self.found is None or not self.found.record.worst:
            panel.set_title("Duplicates")
            panel.say(Text("none", style=GREY))
            return
        found, position = self.found, int(row.removeprefix(SET)) if row.startswith(SET) else 0
        panel.set_title(f"set {position + 1} of {len(found.record.worst)}")
        about = found.record.worst[position]
        pictures = pictures_of(found, position)
        panel.show_drawing(lambda width, height, depth: pair(about, pictures, width, height, depth))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if action == "check":
            row = self.medvlm.board.datasets.get(self.dataset)
            return row is not None and row.state != "data_missing"
        return True

    def action_open(self) -> None:
        """Go into the report of the dataset under the cursor."""
        self.query_one("#report", Rows).focus()

    def request_here(self) -> RunRequest:
        """Return the check of the dataset under the cursor."""
        return replace(self.medvlm.request, models=(), datasets=(self.dataset,), stages=("check",))

    async def action_check(self) -> None:
        """Ask for a check of the dataset under the cursor; an unchanged one is looked up."""
        await self.medvlm.ask_run(self.request_here(), place="data", started=self.update)


def pictures_of(found: Stored[CheckRecord], position: int) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return name and pixels of the stored pictures of one set."""
    drawn = []
    for number, (place, image) in enumerate(found.record.pictures):
        if place == position:
            height, width = found.arrays["sizes"][number]
            drawn.append((image, found.arrays["pictures"][number][:height, :width]))
    return drawn


def pair(
    about: DuplicateSet,
    pictures: list[tuple[str, NDArray[np.uint8]]],
    width: int,
    height: int,
    depth: Depth,
) -> Text:
    """Return the pictures side by side, and below them whose they are; names made safe."""
    words = _words(about, width, max(2, height // 3))
    room = height - len(words)
    lines: list[Text] = []
    if len(pictures) > 1 and room > 1:
        half = (width - 2) // 2
        left, right = (thumbnail(pixels, half, room, depth).split("\n") for _, pixels in pictures[:2])
        for number in range(max(len(left), len(right))):
            first = left[number].copy() if number < len(left) else Text()
            first.truncate(half, pad=True)
            lines.append(Text.assemble(first, "  ", right[number] if number < len(right) else Text()))
    return Text("\n").join([*lines, *words][:height])


def _words(about: DuplicateSet, width: int, most: int) -> list[Text]:
    kind = {"exact": "equal pixels", "near": "near by hash", "features": "near by features: look"}[about.kind]
    facts = Text(f"{kind}, r {about.correlation:.3f}; {len(about.images)} images", style=GREY)
    labels = Text("labels " + ", ".join(clean(str(name)) or "none" for name in about.labels), style=GREY)
    names = about.images if len(about.images) <= most else [*about.images[: most - 1], "..."]
    lines = [Text.assemble(set_mark(about), "  ", facts), labels, *(Text(clean(str(name))) for name in names)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines
