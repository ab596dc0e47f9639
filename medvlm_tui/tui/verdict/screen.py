"""Verdict: for each dataset the models that are not separated from the best, and a card for each."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean, error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.verdict import VERDICT
from medvlm_tui.tui.scores.table import probe_of
from medvlm_tui.tui.shared.exports import export_folder
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, plain
from medvlm_tui.tui.shared.told import Told, wrapped
from medvlm_tui.tui.state.selection import run_request
from medvlm_tui.tui.states import GREY
from medvlm_tui.tui.verdict.judged import Judged, read_judged
from medvlm_tui.tui.verdict.lines import card_lines, model_rows, row_id, set_rows

if TYPE_CHECKING:
    from medvlm_tui.tui.shared.copying import Copyable

NONE_YET = "No verdict yet: a run with the stage verdict makes one for each dataset; r asks for one."


class VerdictScreen(PlaceScreen):
    """Screen that answers which encoder to trust on a dataset, and says what the answer rests on."""

    place = "verdict"
    CSS_PATH = Path(__file__).with_name("verdict.tcss")
    AUTO_FOCUS = "#set"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "cell"),
        Binding("less_than_sign", "walk(-1)", "dataset", key_display="< >"),
        Binding("greater_than_sign", "walk(1)", "next dataset", show=False),
        Binding("tab", "app.focus_next", "next pane"),
        Binding("r", "run", "run"),
        Binding("x", "export", "export"),
        Binding("escape", "app.back", "back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[tuple[str, str], VerdictRecord] = {}
        """(dataset, protocol) -> its confidence set."""
        self.judged: Judged | None = None
        """The verdict under the cursor with its cards."""
        self._known: dict[str, Judged] = {}
        """Key of a verdict -> what was read of it."""

    def body(self) -> ComposeResult:
        """Datasets, the models of one, the card of one model."""
        with Container(id="verdict-body"):
            yield Rows("Verdicts", widget_id="sets")
            with Container(id="verdict-right"):
                yield Rows("", widget_id="set")
                yield Told("card")

    @property
    def name_here(self) -> tuple[str, str]:
        """Dataset and protocol under the cursor, both empty where there is no verdict."""
        row = self.query_one("#sets", Rows).row
        return next((name for name in self.records if row_id(*name) == row), ("", ""))

    @property
    def model(self) -> str:
        """Id of the model under the cursor."""
        return self.query_one("#set", Rows).row

    def request_here(self) -> RunRequest:
        """Return the run of every analysis of the models of this verdict."""
        record, (dataset, _) = self.records.get(self.name_here), self.name_here
        if record is None:
            return super().request_here()
        models = tuple(sorted(candidate.model for candidate in record.candidates))
        return run_request(self.medvlm.request, models, (dataset,))

    def show(self) -> None:
        """Show every verdict; the cursor stands on the dataset that home stands on."""
        keys = self.medvlm.board.verdict_keys()
        if keys:
            self.load(keys)
        else:
            self.records, self.judged = {}, None
            self._say(Text(NONE_YET, style=GREY))

    def _say(self, text: Text) -> None:
        self.query_one("#sets", Rows).set_rows([plain(Text("none", style=GREY))] if not self.records else self._sets())
        self.query_one("#set", Rows).set_title("Verdict")
        self.query_one("#set", Rows).set_rows(wrapped([text], self._width))
        self.query_one("#card", Told).tell("", ())

    @property
    def _width(self) -> int:
        return self.query_one("#set", Rows).content_size.width - 1

    def _sets(self) -> list[Row]:
        return set_rows(self.medvlm.board, self.records)

    @work(exclusive=True, group="load")
    async def load(self, keys: dict[tuple[str, str], str]) -> None:
        """Read the confidence sets, then the cards of the one under the cursor."""
        results, board = self.medvlm.results, self.medvlm.board
        try:
            found = {name: await results.read_record(key, VERDICT.record) for name, key in keys.items()}
            self.records = {name: record for name, record in found.items() if record is not None}
            panel, wanted = self.query_one("#sets", Rows), self.medvlm.selection.dataset
            here = self.name_here if self.name_here[0] == wanted else ("", "")
            names = [here, *(name for name in self.records if name[0] == wanted)]
            keep = next((row_id(*name) for name in names if name in self.records), None)
            panel.set_rows(self._sets(), keep=keep)
            name = self.name_here
            key = keys.get(name, "")
            if not key:
                self._say(Text(NONE_YET, style=GREY))
                return
            if key not in self._known:
                self._say(Text("reading ...", style=GREY))
                read = partial(read_judged, workspace=self.medvlm.workspace, board=board, dataset=name[0], key=key)
                judged = await results.ask(read)
                if judged is not None and not board.running:
                    self._known[key] = judged
            self.judged = self._known.get(key) or judged
        except MedvlmError as error:
            self.judged = None
            self._say(Text(error_text(error)))
            return
        self._draw(name)

    def _draw(self, name: tuple[str, str]) -> None:
        panel = self.query_one("#set", Rows)
        if self.judged is None:
            return
        title = f"{self.medvlm.board.dataset_name(name[0])}, {clean(name[1])} protocol"
        panel.set_title(title)
        panel.set_rows(model_rows(self.medvlm.board, self.judged, self._width), keep=self.model)
        self._show_card()

    @on(Rows.Moved, "#sets")
    def _set_moved(self) -> None:
        self.medvlm.selection.dataset = self.name_here[0] or self.medvlm.selection.dataset
        self.show()

    @on(Rows.Moved, "#set")
    def _show_card(self) -> None:
        if self.judged is None or not self.model:
            return
        self.medvlm.selection.model, self.medvlm.selection.dataset = self.model, self.name_here[0]
        name = self.medvlm.board.model_name(self.model)
        self.query_one("#card", Told).tell(f"{name}: what it rests on", card_lines(self.judged, self.model))

    def on_resize(self) -> None:
        """Sentences are wrapped for the width."""
        self.call_after_refresh(lambda: self._draw(self.name_here))

    # -- keys --------------------------------------------------------------------------------------

    def action_walk(self, step: int) -> None:
        """Go to the verdict of another dataset or protocol."""
        self.query_one("#sets", Rows).action_move(step)

    def action_open(self) -> None:
        """Open the cell of the model under the cursor."""
        dataset, protocol = self.name_here
        probe = probe_of(self.medvlm.board.cell(self.model, dataset), protocol) if self.model else None
        if probe is not None and probe.key:
            from medvlm_tui.tui.scores.cell_screen import CellScreen

            self.app.push_screen(CellScreen(self.medvlm.board.cell(self.model, dataset), probe.key))

    async def action_run(self) -> None:
        """Ask for every analysis of these models on this dataset; what is stored is not computed again."""
        await self.medvlm.ask_run(self.request_here())

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Write the verdict that is shown as verdict.csv and verdict.md."""
        if self.judged is None:
            return
        folder = export_folder(self.medvlm.workspace, "verdict")
        try:
            await asyncio.get_running_loop().run_in_executor(None, write, self.judged, folder)
        except OSError as error:
            self.medvlm.tell(f"nothing was written: {error}", "error")
            return
        self.medvlm.tell(f"verdict.csv and verdict.md: {folder}")

    def copies(self) -> list[Copyable]:
        """Return the verdict as Markdown beside the command line."""
        from medvlm_tui.tui.shared.copying import Copyable

        others = super().copies()
        if self.judged is None:
            return others
        from medvlm_tui.report.verdict.document import document

        return [Copyable("verdict", document([self.judged.verdict])), *others]


def write(judged: Judged, folder: Path) -> None:
    """Write the files of one verdict, as a run's report has them."""
    from medvlm_tui.core.atomic_files import write_export
    from medvlm_tui.report.formats.csv_file import write_all
    from medvlm_tui.report.verdict.document import document
    from medvlm_tui.report.verdict.rows import verdict_table

    list(write_all(folder, [verdict_table([judged.verdict])]))
    write_export(folder / "verdict.md", document([judged.verdict]).encode())
