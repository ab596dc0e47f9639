"""Scores: the study's table, live, and what lies behind the cell under the cursor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean, error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures import METRICS
from medvlm_tui.stages.comparison import PAIRS
from medvlm_tui.stages.language import ZERO_SHOT
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.language import ZeroShotRecord
from medvlm_tui.tui.scores import look as scoretable
from medvlm_tui.tui.scores.about import about_cell
from medvlm_tui.tui.scores.cell_detail import behind
from medvlm_tui.tui.scores.table import VIEWS, ScoreTable, ordered, probe_of, protocols, score_table
from medvlm_tui.tui.shared.filter_line import FilterLine
from medvlm_tui.tui.shared.filtered import FilteredScreen
from medvlm_tui.tui.shared.matrix import Matrix
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.report.scores.verdicts import Verdicts
    from medvlm_tui.tui.shared.copying import Copyable

# A table of nine datasets takes 120 cells, the panel beside it 60.
DRAWER_FROM = 180
# Its lines with those around it and the table's own, where it lies below the table.
DRAWER_ROWS = 22
# Models from which grounds by rank say more than the numbers alone.
HEAT_FROM = 5
# Names of models with their ranks.
WIDEST_NAMES = 34


class ScoresScreen(FilteredScreen):
    """The results as numbers."""

    place = "scores"
    CSS_PATH = Path(__file__).with_name("scores.tcss")
    AUTO_FOCUS = "#scores"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "cell"),
        Binding("s", "sort", "sort"),
        Binding("m", "metric", "metric"),
        Binding("t", "protocol", "protocol"),
        Binding("c", "view", "columns"),
        Binding("slash", "filter", "filter"),
        Binding("v", "ranks", "ranks"),
        Binding("d", "drawer", "detail"),
        Binding("x", "export", "export"),
        Binding("i", "app.go('saliency')", "saliency", show=False),
        Binding("escape", "leave", "back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sort, self.metric, self.protocol, self.view = "catalog", "accuracy", "paper", "score"
        self.drawer: bool | None = None
        """The panel behind the cell is open; None: where the table leaves room for it."""
        self.table = ScoreTable({})
        self.verdicts: dict[tuple[str, str], list[Verdicts]] = {}
        self._read_pairs: set[str] = set()
        self.zero_shots: dict[tuple[str, str], ZeroShotRecord] = {}
        self._read_texts: set[str] = set()

    def body(self) -> ComposeResult:
        """Table, and beside or below it what lies behind a cell."""
        with Container(id="scores-body"):
            yield Matrix("Scores", self.draw_cell, widget_id="scores", column_width=scoretable.COLUMNS["score"])
            yield Picture("", widget_id="behind", centred=False)
        yield Static(id="score-about")
        yield Static(id="score-note")
        yield FilterLine(id="filter")

    # -- drawing -----------------------------------------------------------------------------------

    def show(self) -> None:
        """Draw the table; the cursor stands on the cell that home stands on."""
        board, selection = self.medvlm.board, self.medvlm.selection
        if self.protocol not in protocols(board):
            self.protocol = "paper"
        self.table = score_table(board, self.protocol, self.metric, self.verdicts, self.zero_shots)
        wanted = self.filter_text.lower()
        datasets = [d for d in self.table.datasets if wanted in f"{d} {board.dataset_name(d)}".lower()]
        models = [
            m for m in self.table.models if wanted in f"{m} {board.model_name(m)} {board.models[m].group}".lower()
        ]
        # A filter that names models leaves the datasets alone, and the other way round.
        models, datasets = models or self.table.models, datasets or self.table.datasets
        models = ordered(self.table, models, self.sort)
        matrix = self.query_one("#scores", Matrix)
        matrix.corner, matrix.value_head = "model", "rank"
        matrix.sorted_by = {"mean rank": "rank", "catalog": ""}.get(self.sort, self.sort)
        matrix.sort_mark = "▲" if self.sort == "mean rank" or self.table.lower_is_better else "▼"
        rows, columns = scoretable.axes(board, self.table, models, datasets, grouped=self.sort == "catalog")
        matrix.column_width = self._column_width(matrix, len(datasets))
        matrix.set_axes(rows, columns, selection.model, selection.dataset)
        matrix.set_title(self._title())
        self._settle(models, datasets)
        self._arrange()
        self._load_pairs()
        if self.view == "zero-shot":
            self._load_zero_shots()
        self._show_behind()

    def _title(self) -> str:
        sort = self.sort if self.sort in ("catalog", "mean rank") else self.medvlm.board.dataset_name(self.sort)
        what = "" if self.view == "score" else f", {self.view}"
        return f"{self.metric.replace('_', ' ')}{what}, {clean(self.protocol)} protocol, by {sort}"

    def _settle(self, models: list[str], datasets: list[str]) -> None:
        """Stand on a cell of the table."""
        selection = self.medvlm.selection
        if models and selection.model not in models:
            selection.model = models[0]
        if datasets and selection.dataset not in datasets:
            selection.dataset = datasets[0]
        self.query_one("#scores", Matrix).go_to(selection.model, selection.dataset)

    def draw_cell(self, model: str, dataset: str) -> Text:
        """Draw one cell of the table."""
        width = self.query_one("#scores", Matrix).column_width
        heat = self.medvlm.heat if len(self.table.models) >= HEAT_FROM else ()
        return scoretable.cell_text(self.table.scores.get((model, dataset)), self.view, self.metric, width, heat)

    def _column_width(self, matrix: Matrix, columns: int) -> int:
        """Return the cells of a column; scores stand with their spread where all datasets then fit."""
        room = matrix.content_size.width - WIDEST_NAMES
        with_spread = scoretable.spread_width(self.metric)
        fits = self.view == "score" and columns * with_spread <= room
        return with_spread if fits else scoretable.COLUMNS[self.view]

    @work(exclusive=True, group="pairs")
    async def _load_pairs(self) -> None:
        """Read the comparisons of models that are new, and draw the ties anew."""
        from medvlm_tui.report.scores.verdicts import Verdicts

        board = self.medvlm.board
        wanted = {
            key: cell.dataset for cell in board.cells.values() for key in cell.pairs if key not in self._read_pairs
        }
        for key, dataset in wanted.items():
            try:
                record = await self.medvlm.results.read_record(key, PAIRS.record)
            except MedvlmError:
                record = None
            # Only now: an update in the meantime cancels this reading, and the next one begins here.
            self._read_pairs.add(key)
            if record is not None:
                verdict = Verdicts.of(record)
                self.verdicts.setdefault((dataset, verdict.protocol), []).append(verdict)
        if wanted:
            self.show()

    @work(exclusive=True, group="zero-shot")
    async def _load_zero_shots(self) -> None:
        """Read the scores by texts that are new, and draw the table anew."""
        wanted = {
            key: (cell.model, cell.dataset) for cell in self.medvlm.board.cells.values()
            if (key := cell.keys.get("zero_shot", "")) and key not in self._read_texts
        }  # fmt: skip
        for key, place in wanted.items():
            try:
                record = await self.medvlm.results.read_record(key, ZERO_SHOT.record)
            except MedvlmError:
                record = None
            self._read_texts.add(key)
            if record is not None:
                self.zero_shots[place] = record
        if wanted:
            self.show()

    @on(Matrix.Moved)
    def _moved(self, event: Matrix.Moved) -> None:
        self.medvlm.selection.model, self.medvlm.selection.dataset = event.model, event.dataset
        self._show_behind()

    @property
    def cell(self) -> Cell:
        """The cell under the cursor."""
        return self.medvlm.board.cell(self.medvlm.selection.model, self.medvlm.selection.dataset)

    def on_resize(self) -> None:
        """A wide screen has room for what lies behind the cell, and for the spread."""
        self.call_after_refresh(self.show)

    def _arrange(self) -> None:
        width, height = self.app.size
        room = width >= DRAWER_FROM or len(self.query_one("#scores", Matrix).models) + DRAWER_ROWS <= height
        self.set_class(room if self.drawer is None else self.drawer, "-drawer")

    def action_drawer(self) -> None:
        """Open or close the panel of what lies behind the cell."""
        self.drawer = not self.has_class("-drawer")
        self._arrange()
        self._show_behind()

    def _show_behind(self) -> None:
        panel, board, cell = self.query_one("#behind", Picture), self.medvlm.board, self.cell
        about = self._about()
        if not self.table.scores:
            about = Text("no result yet: F2, choose a model and a dataset, enter", style=GREY)
        self.query_one("#score-about", Static).update(about)
        self.query_one("#score-note", Static).update(Text(scoretable.NOTES[self.view], style=GREY))
        if not self.has_class("-drawer"):
            return
        panel.set_title(f"{board.model_name(cell.model)} × {board.dataset_name(cell.dataset)}")
        probe = probe_of(cell, self.protocol)
        if probe is None:
            panel.say(Text(f"nothing under the {clean(self.protocol)} protocol: F2 runs it", style=GREY))
        else:
            self._read(cell, probe.key)

    def _about(self) -> Text:
        known = self.verdicts.get((self.cell.dataset, self.protocol), ())
        return about_cell(self.medvlm.board, self.cell, self.table, (self.protocol, self.metric), known)

    @work(exclusive=True, group="behind")
    async def _read(self, cell: Cell, key: str) -> None:
        panel = self.query_one("#behind", Picture)
        try:
            probe = await self.medvlm.results.read(key, PROBE.record)
            table = await self.medvlm.results.table(cell.keys.get("table", ""))
        except MedvlmError as error:
            panel.say(Text(error_text(error)))
            return
        if probe is None:
            panel.say(Text("the details are not in the store", style=GREY))
            return
        panel.show_drawing(lambda width, height, depth: Text("\n").join(behind(probe, table, width, self.medvlm.heat)))

    def copies(self) -> list[Copyable]:
        """Return the command line, the cell in words, the model's line of the table, and the table as Markdown."""
        from medvlm_tui.tui.scores.copies import markdown_table, model_line
        from medvlm_tui.tui.shared.copying import Copyable

        matrix, board = self.query_one("#scores", Matrix), self.medvlm.board
        if not self.table.scores:
            return super().copies()
        models, datasets = ([axis.id for axis in axes if axis.id] for axes in (matrix.models, matrix.datasets))
        return [
            *super().copies(),
            Copyable("the cell", self._about().plain),
            Copyable("line of the table", model_line(board, self.cell.model, datasets, self._cell_text)),
            Copyable("table as Markdown", markdown_table(board, models, datasets, self._cell_text)),
        ]

    def _cell_text(self, model: str, dataset: str) -> str:
        """Return a cell as it is shown, without its colours."""
        return self.draw_cell(model, dataset).plain.strip()

    # -- choosing ----------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """Sort by the next of: the catalog, the mean rank, the column under the cursor."""
        column = self.medvlm.selection.dataset
        follows = {"catalog": "mean rank", "mean rank": column}
        self.sort = follows.get(self.sort, "catalog")
        self.show()

    def action_metric(self) -> None:
        """Show the next metric that some cell has."""
        known = {name for cell in self.medvlm.board.cells.values() for p in cell.probes.values() for name in p.metrics}
        self.metric = _next([name for name in METRICS if name in known or name == "accuracy"], self.metric)
        self.show()

    def action_protocol(self) -> None:
        """Show the next protocol."""
        self.protocol = _next(protocols(self.medvlm.board), self.protocol)
        self.show()

    def action_view(self) -> None:
        """Show scores, published ones, their difference, the leakage, the grid of t, or zero-shot beside the probe."""
        self.view = _next(list(VIEWS), self.view)
        self.show()

    def action_open(self) -> None:
        """Open the cell under the cursor."""
        cell, probe = self.cell, probe_of(self.cell, self.protocol)
        if probe is not None:
            from medvlm_tui.tui.scores.cell_screen import CellScreen

            self.app.push_screen(CellScreen(cell, probe.key))

    @work(exclusive=True, group="ranks")
    async def action_ranks(self) -> None:
        """Show the models by their ranks: the critical difference diagram, and which pairs differ."""
        from medvlm_tui.tui.scores.ranks import RanksScreen, newest_ranking

        printed = "f1" if "f1" in self.metric else "accuracy"
        found = await newest_ranking(self.medvlm, self.protocol)
        self.app.push_screen(RanksScreen(found, self.protocol, printed))

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Write the table as it is shown, as CSV, LaTeX, Markdown and PNG."""
        from medvlm_tui.tui.scores.export import PARQUET, export

        try:
            folder = await export(self.medvlm, self.protocol, self.verdicts)
        except (MedvlmError, OSError) as error:
            self.medvlm.tell(f"nothing was written: {error}", "error")
            return
        without = "" if (folder / PARQUET).exists() else f" ({PARQUET} needs pyarrow, which is not installed)"
        self.medvlm.tell(f"results.csv, published.csv, table.tex, table.md and figures: {folder}{without}")

    def focus_filtered(self) -> None:
        """The filter narrows the table."""
        self.set_focus(self.query_one("#scores"))

    async def action_leave(self) -> None:
        """Clear the filter, or go back where there is none."""
        if self.filter_text or self.query_one(FilterLine).display:
            self.action_clear_filter()
        else:
            await self.medvlm.action_back()


def _next(names: list[str], current: str) -> str:
    return names[(names.index(current) + 1) % len(names)] if current in names else names[0]
