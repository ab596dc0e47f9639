"""The top line: workspace, engine, device, store, and what is marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.events import Click
from textual.widget import Widget

from medvlm_tui.core.counts import byte_count
from medvlm_tui.core.safe_text import clean
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.places import PLACES
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.states import GREY, YELLOW, look

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp


TABS_FROM = 100
"""Columns from which the places stand in the top line."""


class StatusBar(Widget):
    """One line, drawn from the board whenever the screen says so; from 100 columns on with the places as tabs."""

    ALLOW_SELECT = False

    DEFAULT_CSS = """
    StatusBar { dock: top; height: 1; background: $panel; padding: 0 1; }
    """

    def render(self) -> Text:
        """Draw what fits; what keeps numbers from being misread stays, names of tabs and other facts give way."""
        app = cast("MedvlmApp", self.app)
        width = self.content_size.width
        state = engine_text(app.board, app.engine_error is not None)
        needed = _joined([limit_text(app.request), reading_text(app.board)])
        self.tabs: list[tuple[int, int, str]] = []
        room = width - state.cell_len - needed.cell_len - len("│ ") - bool(needed)
        left = Text.assemble(("medvlm-tui ", "bold"), self._tabs(room), ("│ ", GREY), state)
        others = [
            marks_text(app),
            Text(app.board.device_name),
            Text(store_size(app.board)),
            Text(short_path(app.workspace)),
        ]
        right = needed
        for fact in others:
            wider = _joined([right, fact])
            if left.cell_len + wider.cell_len < width:
                right = wider
        return Text.assemble(left, " " * max(1, width - left.cell_len - right.cell_len), right)

    def _tabs(self, room: int) -> Text:
        """Return the places with their digits, the one that is shown in reverse; digits or nothing where room lacks."""
        if self.app.size.width < TABS_FROM:
            return Text()
        for named in (True, False):
            line = self._line(named)
            if len("medvlm-tui ") + line.cell_len <= room:
                return line
        self.tabs.clear()
        return Text()

    def _line(self, named: bool) -> Text:
        line, shown = Text(), getattr(self.screen, "place", "")
        start = len("medvlm-tui ")
        self.tabs.clear()
        for place in PLACES:
            name = f" {place.digit} {place.name} " if named or place.name == shown else f" {place.digit} "
            line.append(name, "reverse" if place.name == shown else "")
            self.tabs.append((start + line.cell_len - len(name), start + line.cell_len, place.name))
        return line.append(" ")

    async def on_click(self, event: Click) -> None:
        """Go to the place whose tab was clicked."""
        column = event.get_content_offset_capture(self).x
        name = next((name for start, end, name in self.tabs if start <= column < end), "")
        if name:
            await self.app.run_action(f"go('{name}')")


def _joined(facts: list[Text]) -> Text:
    return Text(" │ ", GREY).join(fact for fact in facts if fact)


def engine_text(board: Board, gone: bool) -> Text:
    """Return the text about the engine's activity."""
    if gone:
        return Text("engine stopped", style=look("failed").style)
    if not board.surveyed and not board.running:
        return Text("engine starting", style=GREY)
    if not board.running:
        return Text("engine idle")
    finished = sum(task.state not in ("queued", "running") for task in board.tasks.values())
    word = "cancelling" if board.cancelling else "running"
    steps = f"{finished}/{len(board.tasks)} steps" if board.tasks else "planning"
    return Text(f"{look('running').letter} {word} {steps}", style=look("running").style)


def reading_text(board: Board) -> Text:
    """Return what is lacking where nothing of what was computed could be computed further; empty elsewhere."""
    done = [cell for cell in board.cells.values() if cell.keys or cell.probes]
    lacks = ["data"] * all(board.lacks(cell.dataset) for cell in done)
    lacks += ["weights"] * all(board.lacks(cell.model) for cell in done)
    parts = ["read-only"] * board.read_only
    parts += [", ".join(f"no {name}" for name in lacks) + " here"] if done and lacks else []
    return Text(f"reading: {', '.join(parts)}" if parts else "", style=YELLOW)


def limit_text(request: RunRequest) -> Text:
    """Return the limit on images where there is one: every number of a run under it is a quick look's."""
    return Text(f"limit {request.limit:,} a class" if request.limit else "", style=YELLOW)


def marks_text(app: MedvlmApp) -> Text:
    """Return how many models and datasets are marked, or an empty text when none is."""
    models, datasets = app.selection.models, app.selection.datasets
    if not models and not datasets:
        return Text()
    all_models, all_datasets = len(app.board.models), len(app.board.datasets)
    return Text(
        f"{len(models)} of {all_models} models, {len(datasets)} of {all_datasets} datasets marked", style="bold"
    )


def store_size(board: Board) -> str:
    """Return the store's size in words, empty when nothing is known."""
    return f"store {byte_count(board.store_bytes)}" if board.store_bytes else ""


def short_path(path: Path) -> str:
    """Return a path with `~` for the home directory, its end kept when it is long."""
    try:
        shown = f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        shown = str(path)
    shown = clean(shown)
    return shown if len(shown) <= 40 else f"…{shown[-39:]}"
