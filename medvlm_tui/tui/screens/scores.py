"""Scores: every result as a table, and the folds and confusions of the one under the cursor."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.palette import class_letters
from medvlm_tui.tui.records import Cell
from medvlm_tui.tui.screens.base import PlaceScreen
from medvlm_tui.tui.states import GREY, YELLOW
from medvlm_tui.tui.widgets import scoretable
from medvlm_tui.tui.widgets.confusion import MOST_CLASSES, confusion, confusion_lines
from medvlm_tui.tui.widgets.detail import percent
from medvlm_tui.tui.widgets.picture import Picture
from medvlm_tui.tui.widgets.rows import Row, Rows, plain

if TYPE_CHECKING:
    from medvlm_tui.core.specs import FeatureTable
    from medvlm_tui.core.store import StoredResult

# As wide as the line of folds: a warning beside the confusions must not push them out of 80 columns.
WARNING_WIDTH = 33


class ScoresScreen(PlaceScreen):
    """The results as numbers."""

    place = "scores"
    CSS_PATH = "../styles/scores.tcss"
    AUTO_FOCUS = "#scores"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "sort"),
        Binding("enter", "app.go('map')", "map"),
        Binding("i", "app.go('saliency')", "saliency"),
        Binding("x", "exports", "where exports are"),
        Binding("escape", "app.back", "back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sort = "catalog"

    def body(self) -> ComposeResult:
        """Table, and beside or below it what lies behind a row."""
        with Container(id="scores-body"):
            yield Rows("Scores, paper protocol", widget_id="scores", header=Row("", scoretable.header))
            yield Picture("", widget_id="behind", centred=False)

    def show(self) -> None:
        """Draw the table; the cursor stands on the cell that home stands on."""
        found = scoretable.scores(self.medvlm.board)
        selection = self.medvlm.selection
        table = self.query_one("#scores", Rows)
        table.note = scoretable.NOTE
        table.set_title(f"Scores, paper protocol, by {self.sort}")
        none = [plain(Text("no result yet: F2, choose a model and a dataset, enter", style=GREY))]
        table.set_rows(scoretable.rows(found, self.sort) or none, keep=f"{selection.model}\n{selection.dataset}")
        self._moved()

    @on(Rows.Moved, "#scores")
    def _moved(self) -> None:
        row = self.query_one("#scores", Rows).row
        panel = self.query_one("#behind", Picture)
        if not row:
            panel.say(Text())
            return
        selection = self.medvlm.selection
        selection.model, selection.dataset = row.split("\n")
        cell = self.medvlm.board.cell(selection.model, selection.dataset)
        board = self.medvlm.board
        panel.set_title(f"{board.model_name(cell.model)} × {board.dataset_name(cell.dataset)}")
        self._read(cell)

    @work(exclusive=True, group="behind")
    async def _read(self, cell: Cell) -> None:
        panel = self.query_one("#behind", Picture)
        try:
            probe = await self.medvlm.results.result(cell.keys.get("probe", ""))
            table = await self.medvlm.results.table(cell.keys.get("table", ""))
        except MedvlmError as error:
            panel.say(Text(f"{clean(error.message)}\n{clean(error.hint)}"))
            return
        if probe is None:
            panel.say(Text("the details are not in the store", style=GREY))
            return
        panel.show_drawing(lambda width, height, depth: Text("\n").join(behind(probe, table, width)))

    def action_sort(self) -> None:
        """Sort by the next column."""
        names = list(scoretable.SORTS)
        self.sort = names[(names.index(self.sort) + 1) % len(names)]
        self.show()

    def action_exports(self) -> None:
        """Say where tables and figures were written."""
        finished = self.medvlm.board.finished
        if finished is not None and finished.out:
            self.medvlm.tell(f"tables and figures of the last run: {finished.out}")
            return
        exports = self.medvlm.workspace / "exports"
        there = exports.is_dir() and any(exports.iterdir())
        self.medvlm.tell(f"tables and figures, a folder a run: {exports}" if there else "nothing was exported yet")


def behind(probe: StoredResult, table: FeatureTable | None, width: int) -> list[Text]:
    """Return metrics, folds and confusions of one probe, side by side where they fit into `width`."""
    left, right = _metrics(probe.record), _confusions(probe, table)
    widest = max(line.cell_len for line in left) + 3
    if not right or widest + max(line.cell_len for line in right) > width:
        return [*left, Text(), *right]
    rows = max(len(left), len(right))
    left, right = ([*lines, *[Text()] * (rows - len(lines))] for lines in (left, right))
    return [Text.assemble(a, " " * (widest - a.cell_len), b) for a, b in zip(left, right, strict=True)]


def _metrics(record: Mapping[str, Any]) -> list[Text]:
    lines = []
    for name, values in record["metrics"].items():
        # An area under a curve is no percentage.
        shown = (
            f"{values['mean']:.3f} ± {values['std']:.3f}" if name == "auroc" else percent(values["mean"], values["std"])
        )
        lines.append(Text.assemble((f"{clean(str(name)).replace('_', ' '):<18}", GREY), shown))
    folds = record["metrics"].get("accuracy", {}).get("folds", ())
    lines.append(Text.assemble((f"{'folds':<8}", GREY), " ".join(f"{100 * value:.1f}" for value in folds)))
    lines.append(Text(f"train {record['n_train']:,}, held out {record['n_test']:,}, d {record['d']:,}"))
    if record["t"] is not None:
        lines.append(Text(f"t {record['t']:g}" + (", saturated" if record["saturated"] else "")))
    for warning in record.get("warnings", ()):
        lines += [Text(part, style=YELLOW) for part in textwrap.wrap(f"! {clean(str(warning))}", WARNING_WIDTH)]
    return lines


def _confusions(probe: StoredResult, table: FeatureTable | None) -> list[Text]:
    classes = [str(name) for name in probe.record["classes"]]
    if table is None or "final_predicted" not in probe.arrays or len(classes) > MOST_CLASSES:
        return []
    position = {name: index for index, name in enumerate(classes)}
    truth = np.array([position.get(table.labels[int(row)], 0) for row in probe.arrays["hold_out"]], np.int64)
    counts = confusion(truth, probe.arrays["final_predicted"].astype(np.int64), len(classes))
    head = Text("final classifier, held-out images", style=GREY)
    return [head, *confusion_lines(counts, [clean(name) for name in classes], class_letters(len(classes)))]
