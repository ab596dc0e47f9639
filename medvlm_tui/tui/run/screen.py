"""Run: the queue, how far the running step is, and the log."""

from __future__ import annotations

import textwrap
import time
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean
from medvlm_tui.stages import stage_of
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.run import meter
from medvlm_tui.tui.run.requests import in_short, settings_of
from medvlm_tui.tui.shared.notice import CancelNotice
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, plain
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state import messages
from medvlm_tui.tui.state.board import LOG_LINES, Board, LogLine, Task, WaitingRun, run_summary
from medvlm_tui.tui.states import GREY, letter, look

ASKS_AFTER_S = 60.0
"""A step that has worked so long is not stopped without a question."""
WAITS = "waits:"
"""Before the id of a run of the queue in the list."""
LEVELS = {"warning": look("stale").style, "error": look("failed").style}


class RunScreen(PlaceScreen):
    """Screen to follow, cancel and retry a run."""

    place = "run"
    CSS_PATH = Path(__file__).with_name("run.tcss")
    AUTO_FOCUS = "#queue"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel", "cancel"),
        Binding("r", "retry", "run again"),
        Binding("enter", "open", "result"),
        Binding("o", "log", "log"),
        Binding("h", "history", "history"),
        Binding("p", "pause", "pause the queue"),
        Binding("plus", "move_run(1)", "later", key_display="+ -"),
        Binding("minus", "move_run(-1)", "earlier", show=False),
        Binding("d,delete", "drop", "drop"),
        Binding("escape", "app.back", "back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.followed = ""

    def body(self) -> ComposeResult:
        """Queue at the left (on top where it is narrow), step and log beside it."""
        with Container(id="run-body"):
            yield Rows("Queue", widget_id="queue")
            with Container(id="run-right"):
                yield Static(id="step")
                yield Rows("Log", widget_id="log", follow=True)

    def show(self) -> None:
        """Draw everything."""
        board = self.medvlm.board
        queue = self.query_one("#queue", Rows)
        # The cursor goes with the work until the user moves it elsewhere.
        follows = queue.row in ("", self.followed) or self.followed not in board.tasks
        keep = board.current if follows and not queue.row.startswith(WAITS) else None
        queue.set_rows(_queue(board, queue.content_size.width), keep=keep)
        self.followed = board.current
        self._show_step()
        self._show_log()
        self.refresh_bindings()

    @on(messages.StepMoved)
    def _moved(self) -> None:
        self.query_one("#queue", Rows).refresh()
        self._show_step()

    @on(messages.DeviceChanged)
    def _device(self) -> None:
        self._show_step()

    @on(messages.Logged)
    def _logged(self) -> None:
        self._show_log()

    @on(Rows.Moved, "#queue")
    def _looked_at(self) -> None:
        self._show_step()
        self.refresh_bindings()

    def request_here(self) -> RunRequest:
        """Return the run under way, or the last one."""
        return self.medvlm.board.request or super().request_here()

    def on_resize(self) -> None:
        """The bar is as wide as its frame."""
        self.call_after_refresh(self._show_step)
        self.call_after_refresh(self._show_log)

    def _watched(self) -> Task | None:
        """Return the running step; without one, the step under the cursor."""
        board = self.medvlm.board
        running = board.tasks.get(board.current)
        if board.running and running is not None and running.state == "running":
            return running
        return board.tasks.get(self.query_one("#queue", Rows).row)

    @on(messages.QueueMoved)
    def _queue_moved(self) -> None:
        self.show()

    def _waiting(self) -> WaitingRun | None:
        """Return the run of the queue under the cursor."""
        row = self.query_one("#queue", Rows).row
        return next((one for one in self.medvlm.board.waiting if WAITS + one.id == row), None)

    def _show_step(self) -> None:
        board, panel = self.medvlm.board, self.query_one("#step", Static)
        if (waiting := self._waiting()) is not None:
            panel.border_title = Text(f"Waits: {in_short(board, waiting.request)}")
            panel.update(Text(settings_of(waiting.request, self.medvlm.workspace), style=GREY))
            return
        task = self._watched()
        title = board.title(task.step) if task else "No run yet" if not board.running else "Planning"
        panel.border_title = Text(title)
        panel.update(Text("\n").join(_step_lines(board, task, max(10, panel.content_size.width))))

    def _show_log(self) -> None:
        log = self.query_one("#log", Rows)
        width = log.content_size.width
        log.set_rows([row for line in self.medvlm.board.log for row in _log_rows(line, width)])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        board = self.medvlm.board
        if action == "cancel":
            return board.running and not board.cancelling
        if action == "retry":
            return not board.running and board.request is not None
        if action == "open":
            return self._result() is not None
        if action == "pause":
            return bool(board.waiting) or board.paused
        if action in ("move_run", "drop"):
            return self._waiting() is not None
        return True

    def _result(self) -> Task | None:
        task = self.medvlm.board.tasks.get(self.query_one("#queue", Rows).row)
        return task if task is not None and task.state == "done" and stage_of(task.step.kind).screen else None

    async def action_cancel(self) -> None:
        """Stop the run; what was computed is kept. Asks first where a step has worked for more than a minute."""
        task = self.medvlm.board.tasks.get(self.medvlm.board.current)
        worked_s = time.time() - task.begun if task is not None and task.state == "running" and task.begun else 0.0
        if worked_s < ASKS_AFTER_S:
            await self._cancel()
            return

        async def answered(answer: str | None) -> None:
            if answer == "cancel":
                await self._cancel()

        assert task is not None
        await self.app.push_screen(CancelNotice(self.medvlm.board.title(task.step), worked_s), answered)

    async def _cancel(self) -> None:
        if await self.medvlm.tell_engine("cancel"):
            self.medvlm.board.cancelling = True
            self.update()

    async def action_retry(self) -> None:
        """Ask for the same run again: what is stored is not computed twice."""
        if self.medvlm.board.request is not None:
            await self.medvlm.ask_run(self.medvlm.board.request, started=self.update)

    def action_history(self) -> None:
        """Show the runs that have ended."""
        from medvlm_tui.tui.run.history import HistoryScreen

        self.app.push_screen(HistoryScreen())

    async def action_pause(self) -> None:
        """Pause the queue, or go on with it; the run under way is not touched."""
        await self.medvlm.tell_engine("queue", do="resume" if self.medvlm.board.paused else "pause")

    async def action_move_run(self, step: int) -> None:
        """Put the waiting run under the cursor later or earlier."""
        if (waiting := self._waiting()) is not None:
            await self.medvlm.tell_engine("queue", do="move", id=waiting.id, step=str(step))

    async def action_drop(self) -> None:
        """Take the waiting run under the cursor out of the queue."""
        if (waiting := self._waiting()) is not None:
            await self.medvlm.tell_engine("queue", do="drop", id=waiting.id)

    def action_log(self) -> None:
        """Show the log on the whole screen, or switch back."""
        self.toggle_class("-log")
        self.query_one("#log" if self.has_class("-log") else "#queue", Rows).focus()

    def action_open(self) -> None:
        """Show the result of the step under the cursor."""
        task = self._result()
        if task is not None:
            selection = self.medvlm.selection
            # A step over several models or datasets keeps the chosen ones.
            selection.model = task.step.model or selection.model
            selection.dataset = task.step.dataset or selection.dataset
            self.medvlm.action_go(stage_of(task.step.kind).screen)


def _queue(board: Board, width: int) -> list[Row]:
    waiting = _waiting_rows(board)
    return [*waiting, *_steps(board, width)]


def _waiting_rows(board: Board) -> list[Row]:
    if not board.waiting:
        return []
    head = "waiting, paused (p goes on)" if board.paused else "waiting"
    rows = [plain(Text(head, style=f"bold {GREY}"))]
    rows += [
        Row(WAITS + one.id, partial(_waiting_line, number, in_short(board, one.request)))
        for number, one in enumerate(board.waiting, 1)
    ]
    return [*rows, plain(Text("steps of this run", style=f"bold {GREY}"))]


def _waiting_line(number: int, words: str, width: int) -> Text:
    line = Text.assemble(f"{number} ", letter("queued"), f" {words}")
    line.truncate(width, overflow="ellipsis")
    return line


def _steps(board: Board, width: int) -> list[Row]:
    if not board.tasks:
        hint = "planning ..." if board.running else "nothing to run yet: F2, choose, r"
        return [plain(Text(hint, style=GREY))]
    rows: list[Row] = []
    for name, task in board.tasks.items():
        rows.append(Row(name, partial(meter.queue_line, board, task)))
        if task.note and task.state in ("failed", "blocked"):
            rows += [plain(Text(f"  {part}", style=GREY)) for part in textwrap.wrap(task.note, max(20, width - 2))]
    return rows


def _step_lines(board: Board, task: Task | None, width: int) -> list[Text]:
    lines = meter.meter(task, width) if task is not None else []
    lines[2:2] = meter.work_lines(board, task, width)
    if task is not None and task.note:
        lines.append(Text(task.note, style=look(task.state).style))
    if board.cancelling:
        lines.append(Text("cancelling: the step stops at its next batch, what was computed is kept", style=GREY))
    if board.refused is not None:
        word = "broken off" if board.tasks else "nothing ran"
        lines.append(Text(f"{word}: the log says why", style="bold"))
    if board.finished is not None:
        lines.append(Text(run_summary(board.finished), style="bold"))
        lines += [Text(f"files: {clean(board.finished.out)}", style=GREY)] if board.finished.out else []
    if lines:
        return lines
    if board.running:
        doing = board.preparing or "reading the datasets and looking at what the store has ..."
        return [Text(doing, style=GREY)]
    return [Text("choose models and datasets on home (F2) and press r", style=GREY)]


@lru_cache(2 * LOG_LINES)  # a full log takes 60 ms to wrap, and every event adds a line
def _log_rows(line: LogLine, width: int) -> tuple[Row, ...]:
    """Return a line of the log, wrapped so that nothing of a reason is lost."""
    room = max(20, width - len(line.clock) - 1)
    parts = textwrap.wrap(line.message, room, break_on_hyphens=False) or [""]
    style = LEVELS.get(line.level, "")
    clocks = [line.clock] + [" " * len(line.clock)] * (len(parts) - 1)
    drawn = zip(clocks, parts, strict=True)
    return tuple(plain(Text.assemble((f"{clock} ", GREY), (part, style))) for clock, part in drawn)
