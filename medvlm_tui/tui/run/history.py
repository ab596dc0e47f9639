"""The runs that have ended: when, what, how long, settings, files that exist, failures; each can be run again."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.workspace.past_runs import PastRun, past_runs
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.run.requests import in_short, settings_of
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, plain
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.costs import duration
from medvlm_tui.tui.states import GREY, RED, letter

_FILES_SHOWN = 40


class HistoryScreen(PlaceScreen):
    """A list of runs, the newest first, and what is known of the one under the cursor."""

    CSS_PATH = Path(__file__).with_name("run.tcss")
    AUTO_FOCUS = "#runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "its results"),
        Binding("r", "again", "run again"),
        Binding("escape,h", "app.back", "back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, PastRun] = {}
        self.asked: dict[str, RunRequest | None] = {}
        """Requests of the runs found, each rebuilt once; None where another release wrote it."""

    def body(self) -> ComposeResult:
        """List and details."""
        with Container(id="history-body"):
            yield Rows("Runs", widget_id="runs")
            with VerticalScroll(id="run-facts"):
                yield Static(id="run-about")

    def on_mount(self) -> None:
        """Read the runs, which may take a moment."""
        self._read()

    @work(exclusive=True, group="history")
    async def _read(self) -> None:
        runs = self.medvlm.workspace / "runs"
        found = await asyncio.get_running_loop().run_in_executor(None, lambda: list(past_runs(runs)))
        self.found = {run.run_id: run for run in found}
        self.asked = {run.run_id: asked_for(run) for run in found}
        board = self.medvlm.board
        rows = [Row(run.run_id, partial(_line, board, run, self.asked[run.run_id])) for run in self.found.values()]
        self.query_one("#runs", Rows).set_rows(rows or [plain(Text("no run has ended yet", style=GREY))])
        self._moved()

    @property
    def run_here(self) -> PastRun | None:
        """The run under the cursor."""
        return self.found.get(self.query_one("#runs", Rows).row)

    @property
    def asked_here(self) -> RunRequest | None:
        """Request of the run under the cursor; None without a run, and where another release asked."""
        return self.asked.get(self.query_one("#runs", Rows).row)

    @on(Rows.Moved, "#runs")
    def _moved(self) -> None:
        run = self.run_here
        lines = [] if run is None else facts(run, self.asked_here, self.medvlm.workspace)
        self.query_one("#run-about", Static).update(Text("\n").join(lines))

    def request_here(self) -> RunRequest:
        """Return what the run under the cursor asked for."""
        return self.asked_here or super().request_here()

    def action_open(self) -> None:
        """Look at the results of the run under the cursor."""
        if (request := self.asked_here) is not None:
            selection = self.medvlm.selection
            selection.model = next(iter(request.models), selection.model)
            selection.dataset = next(iter(request.datasets), selection.dataset)
            self.medvlm.action_go("scores")

    async def action_again(self) -> None:
        """Ask for the run under the cursor again; what is stored is not computed twice."""
        if (request := self.asked_here) is not None:
            await self.medvlm.ask_run(request)
        elif self.run_here is not None:
            self.medvlm.tell("another release asked for this run: it cannot be asked for again", "warning")


def asked_for(run: PastRun) -> RunRequest | None:
    """Return a run's request, None where another release wrote it."""
    try:
        return RunRequest.from_record(dict(run.request))
    except (TypeError, ValueError, AttributeError):
        return None


def facts(run: PastRun, request: RunRequest | None, workspace: Path) -> list[Text]:
    """Return what is known of a run, safe to show."""
    done, cached, failed, skipped = run.counts
    lines = [
        Text.assemble((_when(run), "bold"), f"   {_state(run)[1]}   {duration(run.seconds) if run.seconds else ''}"),
        Text(f"{done} computed, {cached} there already, {failed} failed, {skipped} skipped"),
        Text(),
        Text(settings_of(request, workspace), style=GREY),
        Text(),
    ]
    lines += [
        Text(clean(f"{step}: {error} ({hint})".removeprefix(": ")), style=RED) for step, error, hint in run.failures
    ]
    there = [path for path in run.files if Path(path).exists()]
    if there:
        lines += [Text(f"{len(there)} of {len(run.files)} files in {clean(run.out)}", style="bold")]
        lines += [Text(clean(Path(path).name), style=GREY) for path in there[:_FILES_SHOWN]]
    elif run.files:
        lines.append(Text(f"its {len(run.files)} files are gone", style=GREY))
    longest = sorted(run.steps, key=lambda step: -step.seconds)[:8]
    if longest:
        lines += [Text(), Text("longest steps", style="bold")]
        lines += [
            Text(clean(f"{duration(step.seconds):>8}  {step.kind} {step.model} {step.dataset}")) for step in longest
        ]
    return lines


def _state(run: PastRun) -> tuple[str, str]:
    if run.exit_code is None:
        return "failed", "killed"
    return {0: ("done", "finished"), 130: ("skipped", "cancelled")}.get(run.exit_code, ("failed", "with failures"))


def _when(run: PastRun) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(run.begun)) if run.begun else clean(run.run_id)


def _line(board: Board, run: PastRun, request: RunRequest | None, width: int) -> Text:
    line = Text.assemble(
        letter(_state(run)[0]), f" {_when(run)} ", (f"{duration(run.seconds) if run.seconds else '':>7}  ", GREY),
        in_short(board, request),
    )  # fmt: skip
    line.truncate(width, overflow="ellipsis")
    return line
