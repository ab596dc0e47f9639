"""Home: the panels of models and datasets, the matrix between them, and what `enter` would do."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.home import rows as catalog
from medvlm_tui.tui.home.detail import cell_detail
from medvlm_tui.tui.home.order import SCOPES, WORDS, Arrangement, Scope, arranged
from medvlm_tui.tui.home.welcome import welcome_rows
from medvlm_tui.tui.shared.filter_line import FilterLine
from medvlm_tui.tui.shared.filtered import FilteredScreen
from medvlm_tui.tui.shared.matrix import Matrix
from medvlm_tui.tui.shared.rows import Rows, plain
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.selection import PHANTOM, run_request
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREY

PANES = ("models", "datasets", "matrix")


class HomeScreen(FilteredScreen):
    """Screen to choose models and datasets."""

    place = "home"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go", "open"),
        Binding("r", "run", "run"),
        Binding("space", "mark", "mark"),
        Binding("tab", "pane(1)", "next pane"),
        Binding("slash", "filter", "filter"),
        Binding("a", "scope", "all / here"),
        Binding("o", "open_data", "data folder"),
        Binding("m", "missing", "what is missing"),
        Binding("u", "unmark", "unmark all"),
        Binding("p", "phantom", "try the phantom", show=False),
        Binding("delete", "forget_data", "take the data folder out", show=False),
        Binding("shift+tab", "pane(-1)", "previous pane", show=False),
        Binding("escape", "clear_filter", "clear the filter", show=False),
    ]

    def __init__(self) -> None:
        # The classes of an empty workspace from the first frame on: nothing jumps when the survey comes.
        super().__init__(classes="-matrix -new")
        self.pane = "matrix"
        self.scope: Scope = "here"

    def body(self) -> ComposeResult:
        """Panels at the left, matrix or welcome in the middle, detail at the right or below."""
        with Container(id="body"):
            with Container(id="left"):
                yield Rows("Models", widget_id="models")
                yield Rows("Datasets", widget_id="datasets")
            with Container(id="main"):
                yield Matrix("accuracy, paper protocol", self.draw_cell, widget_id="matrix")
                yield Rows("Welcome", widget_id="welcome")
                yield Static(id="detail")
        yield FilterLine(id="filter")
        yield Static(id="plan")

    def on_mount(self) -> None:
        """Focus the matrix in the middle."""
        self._show_pane("matrix")

    # -- drawing -----------------------------------------------------------------------------------

    def show(self) -> None:
        """Draw all panes from the board."""
        board, selection = self.medvlm.board, self.medvlm.selection
        if board.surveyed:
            self._settle_current()
        shown = self._arrangement
        self._stay_in_view(shown)
        emptied = self._emptied
        nothing = [plain(Text(emptied, style=GREY))] if emptied else []
        model_rows = catalog.model_rows(shown.models, selection, shown.hidden) or nothing
        dataset_rows = catalog.dataset_rows(shown.datasets, selection) or nothing
        self.query_one("#models", Rows).set_rows(model_rows, keep=selection.model)
        self.query_one("#datasets", Rows).set_rows(dataset_rows, keep=selection.dataset)
        rows, columns = catalog.axes(shown.models, shown.datasets, selection, shown.hidden)
        self.query_one(Matrix).set_title(f"accuracy, paper protocol; {WORDS[self.scope]}")
        self.query_one(Matrix).set_axes(rows, columns, selection.model, selection.dataset)
        self._welcome_or_matrix()
        self._show_choice()

    def _settle_current(self) -> None:
        """Select a model and a dataset that exist: those of the command line, else the first with results or ready."""
        board, selection = self.medvlm.board, self.medvlm.selection
        has_model = selection.model in board.models
        has_dataset = selection.dataset in board.datasets or selection.dataset in self.medvlm.request.data
        if has_model and has_dataset:
            return
        done = [cell for cell in board.with_result("probe") if selection.dataset in ("", cell.dataset)]
        first = arranged(board, "all", "", "")
        if not has_model:
            selection.model = next(iter([*(cell.model for cell in done), *(row.id for row in first.models)]), "")
        if not has_dataset:
            selection.dataset = next(iter([*(cell.dataset for cell in done), *(row.id for row in first.datasets)]), "")

    def _stay_in_view(self, shown: Arrangement) -> None:
        """Select rows that the filter shows: the bottom line and `enter` refer to the visible selection."""
        selection = self.medvlm.selection
        if shown.models and selection.model not in {row.id for row in shown.models}:
            selection.model = shown.models[0].id
        # A folder that was just given is no row before the next survey.
        is_coming = (
            selection.dataset in self.medvlm.request.data and selection.dataset not in self.medvlm.board.datasets
        )
        if shown.datasets and not is_coming and selection.dataset not in {row.id for row in shown.datasets}:
            selection.dataset = shown.datasets[0].id

    @property
    def _emptied(self) -> str:
        """Return a notice that the filter matches no model or no dataset, or an empty text when rows match."""
        if not self.filter_text or not self.medvlm.board.surveyed:
            return ""
        shown = self._arrangement
        if shown.models and shown.datasets:
            return ""
        what = "dataset" if shown.models else "model"
        return f"no {what} matches {clean(self.filter_text)}: esc clears the filter"

    def _welcome_or_matrix(self) -> None:
        new, was_new = self.is_welcome, self.has_class("-new")
        self.set_class(new, "-new")
        self.query_one("#welcome", Rows).set_rows(welcome_rows(self.medvlm.board.surveyed, self.medvlm.engine_error))
        if new != was_new or self.focused is None:
            self._show_pane(self.pane)

    @property
    def is_welcome(self) -> bool:
        """Return whether there is nothing yet that a matrix could show."""
        board, selection = self.medvlm.board, self.medvlm.selection
        return not board.surveyed or (board.is_new and not board.running and not selection.models | selection.datasets)

    def _show_choice(self) -> None:
        """Draw what depends on the cursor and the marks alone."""
        board, selection = self.medvlm.board, self.medvlm.selection
        detail = self.query_one("#detail", Static)
        if emptied := self._emptied:
            detail.border_title = None
            detail.update(Text(emptied, style=GREY))
            self.query_one("#plan", Static).update(Text(emptied, style=GREY))
            return
        cell = board.cell(selection.model, selection.dataset)
        title = f"{board.model_name(cell.model)} × {board.dataset_name(cell.dataset)}" if cell.model else ""
        detail.border_title = Text(title)
        detail.update(cell_detail(board, cell, compact=not self.has_class("-wide")))
        self.query_one("#plan", Static).update(self._plan_line(cell))

    def _plan_line(self, cell: Cell) -> Text:
        board, selection = self.medvlm.board, self.medvlm.selection
        if not board.surveyed:
            gone = self.medvlm.engine_error
            return Text("looking at what is here ..." if gone is None else clean(gone.message), style=GREY)
        if self.is_welcome and self.focused is self.query_one("#welcome"):
            return Text("nothing computed here yet", style=GREY)
        if selection.models or selection.datasets:
            return Text.assemble(("r ", "bold"), f"shows what running {self._marked_summary()} costs, and asks")
        name = f"{board.model_name(cell.model)} × {board.dataset_name(cell.dataset)}"
        if cell.has_scores or cell.state in ("running", "queued"):
            deed = "opens the scores of" if cell.has_scores else "watches"
            if cell.here != "ready":
                return Text.assemble(("enter ", "bold"), f"{deed} {name}")
            return Text.assemble(("enter ", "bold"), f"{deed} {name}   ", ("r ", "bold"), "runs it again, asking first")
        if cell.state.endswith("_missing"):
            return Text.assemble(("enter ", "bold"), f"tells what is missing for {name}")
        return Text.assemble(("r ", "bold"), f"shows what running {name} costs, and asks")

    def _marked_summary(self) -> str:
        cells = self._chosen_cells()
        have, missing = sum(cell.state == "done" for cell in cells), sum(cell.here != "ready" for cell in cells)
        parts = [f"{have} done"] if have else []
        parts += [f"{missing} lack weights or data"] if missing else []
        return f"{len(cells)} cell{'s' if len(cells) != 1 else ''}{' (' + ', '.join(parts) + ')' if parts else ''}"

    def draw_cell(self, model: str, dataset: str) -> Text:
        """Draw one cell of the matrix."""
        board = self.medvlm.board
        cell = board.cell(model, dataset)
        best = cell.accuracy is not None and cell.accuracy == board.best(dataset)
        return catalog.cell_text(cell, best, self.medvlm.selection.includes_mark(model, dataset))

    @property
    def _arrangement(self) -> Arrangement:
        """Return the models and datasets that the scope and the filter show."""
        texts = ("", self.filter_text) if self.pane == "datasets" else (self.filter_text, "")
        return arranged(self.medvlm.board, self.scope, *texts)

    def action_scope(self) -> None:
        """Show more or fewer models: those here or with results, all, those with results."""
        self.scope = SCOPES[(SCOPES.index(self.scope) + 1) % len(SCOPES)]
        self.update()

    def on_resize(self) -> None:
        """The detail is written for its width."""
        if self.medvlm.board.surveyed:
            self.call_after_refresh(self._show_choice)

    # -- moving ------------------------------------------------------------------------------------

    @on(Rows.Moved, "#models")
    def _model_moved(self, event: Rows.Moved) -> None:
        self.medvlm.selection.model = event.row
        self._cursor_moved()

    @on(Rows.Moved, "#datasets")
    def _dataset_moved(self, event: Rows.Moved) -> None:
        self.medvlm.selection.dataset = event.row
        self._cursor_moved()

    @on(Matrix.Moved)
    def _cell_moved(self, event: Matrix.Moved) -> None:
        self.medvlm.selection.model, self.medvlm.selection.dataset = event.model, event.dataset
        self._cursor_moved()

    def _cursor_moved(self) -> None:
        selection = self.medvlm.selection
        self.query_one("#models", Rows).go_to(selection.model)
        self.query_one("#datasets", Rows).go_to(selection.dataset)
        self.query_one(Matrix).go_to(selection.model, selection.dataset)
        self._show_choice()

    def action_pane(self, step: int) -> None:
        """Go to the next pane; on a narrow terminal it is the only one shown."""
        self._show_pane(PANES[(PANES.index(self.pane) + step) % len(PANES)])

    def _show_pane(self, pane: str) -> None:
        self.pane = pane
        for name in PANES:
            self.set_class(name == pane, f"-{name}")
        target = "welcome" if pane == "matrix" and self.is_welcome else pane
        self.set_focus(self.query_one(f"#{target}"))

    def on_descendant_focus(self) -> None:
        """A click may have moved the focus."""
        focused = self.focused.id if self.focused is not None else ""
        pane = "matrix" if focused == "welcome" else focused
        if pane in PANES and pane != self.pane:
            self._show_pane(pane)
        if self.medvlm.board.surveyed:
            self._show_choice()

    # -- choosing ----------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark what the cursor stands on."""
        selection = self.medvlm.selection
        if self._emptied:
            self.medvlm.tell(self._emptied)
        elif self.pane == "models":
            selection.toggle_model(selection.model)
        elif self.pane == "datasets":
            selection.toggle_dataset(selection.dataset)
        elif not self.is_welcome:
            selection.toggle_cell(selection.model, selection.dataset)
        self.update()

    def action_unmark(self) -> None:
        """Mark nothing."""
        self.medvlm.selection.models.clear()
        self.medvlm.selection.datasets.clear()
        self.update()

    def _chosen_cells(self) -> list[Cell]:
        board, selection = self.medvlm.board, self.medvlm.selection
        if self._emptied and not (selection.models or selection.datasets):
            return []
        models = [model for model in board.models if model in selection.run_models()]
        datasets = [dataset for dataset in board.datasets if dataset in selection.run_datasets()]
        return [board.cell(model, dataset) for model in models for dataset in datasets]

    async def action_go(self) -> None:
        """Open what is under the cursor; nothing starts to run."""
        app = self.medvlm
        if not app.board.surveyed:
            return
        if self.focused is self.query_one("#welcome"):
            await self._welcome(self.query_one("#welcome", Rows).row)
            return
        cell = app.board.cell(app.selection.model, app.selection.dataset)
        if self._emptied:
            app.tell(self._emptied, "warning")
        elif cell.has_scores or cell.state in ("running", "queued"):
            app.action_go("scores" if cell.has_scores else "run")
        elif cell.state.endswith("_missing"):
            self.action_missing()
        elif cell.model:
            app.tell("no result yet: r shows what a run would cost, and asks")

    async def action_run(self) -> None:
        """Show what a run of what is marked, or of the cell under the cursor, would cost, and ask."""
        cells = self._chosen_cells()
        if self.focused is self.query_one("#welcome"):
            await self._welcome("phantom")
        elif cells and all(cell.here != "ready" for cell in cells):
            self.action_missing()
        elif cells:
            models = tuple(dict.fromkeys(cell.model for cell in cells))
            datasets = tuple(dict.fromkeys(cell.dataset for cell in cells))
            self._show_pane("matrix")
            request = run_request(self.medvlm.request, models, datasets)
            await self.medvlm.ask_run(request, started=self.action_unmark)
        elif self._emptied:
            self.medvlm.tell(self._emptied, "warning")

    async def action_phantom(self) -> None:
        """Try the phantom."""
        await self._welcome("phantom")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the phantom while nothing is computed."""
        board = self.medvlm.board
        return action != "phantom" or (board.surveyed and not board.with_results and not board.running)

    async def _welcome(self, choice: str) -> None:
        if choice == "phantom":
            self.medvlm.selection.model, self.medvlm.selection.dataset = PHANTOM
            await self.medvlm.ask_run(run_request(self.medvlm.request, (PHANTOM[0],), (PHANTOM[1],)))
        elif choice == "open":
            self.action_open_data()
        elif choice == "missing":
            self.action_missing()

    def action_open_data(self) -> None:
        """Ask for data folders."""
        from medvlm_tui.tui.home.given_data import ask

        ask(self.medvlm)

    async def action_forget_data(self) -> None:
        """Take the folder of the dataset under the cursor out again."""
        from medvlm_tui.tui.home.given_data import forget

        if self.medvlm.selection.dataset and not self.is_welcome:
            await forget(self.medvlm, self.medvlm.selection.dataset)

    def action_missing(self) -> None:
        """Show what is missing, and how to get it."""
        from medvlm_tui.tui.home.missing import MissingScreen

        self.app.push_screen(MissingScreen(self.medvlm.board))

    def focus_filtered(self) -> None:
        """The filter narrows the pane that is shown."""
        self._show_pane(self.pane)
