"""The dialog before a run: its steps and its cost; nothing runs unasked."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import ClassVar, Literal

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.workspace.past_runs import past_runs
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state import messages
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.costs import cost, in_words, times_of
from medvlm_tui.tui.states import GREY, RED, YELLOW, letter

# Runs whose steps tell how long a step takes.
_RUNS_READ = 30


class RunPlan(Dialog[Literal["run", "queue"]]):
    """The steps of a run that was not started yet; answers whether to start it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "run", "run it, behind the one under way"),
        Binding("q", "queue", "put it at the end of the queue"),
    ]

    def __init__(self, board: Board, workspace: Path, note: str = "", kept_masks: int = 0) -> None:
        """`note` says in the first line what is asked; `kept_masks` are scored already for each explained image."""
        super().__init__("Run?", Text("planning ...", style=GREY), "esc close")
        self.asked = secrets.token_hex(4)
        self._board, self._runs = board, workspace / "runs"
        self._note, self._kept_masks = note, kept_masks
        self._plan: Plan | None = None

    @on(messages.PlanArrived)
    async def _planned(self, event: messages.PlanArrived) -> None:
        if not event.dry or event.asked != self.asked:
            return
        self._plan, board, runs = event.plan, self._board, self._runs
        found = await asyncio.get_running_loop().run_in_executor(None, lambda: list(past_runs(runs, _RUNS_READ)))
        one = cost(event.plan, board, times_of(run.steps for run in found), self._kept_masks)
        lines = [Text(clean(self._note), style="bold")] if self._note else []
        lines += [Text(" · ".join(in_words(one)), style="bold"), Text()]
        lines += [line for step in event.plan.steps for line in _step(step, board.title(step))]
        lines += [Text(f"! {clean(warning)}", style=YELLOW) for warning in event.plan.warnings]
        self._say(Text("\n").join(lines), self._offer(one.to_do))

    def _offer(self, to_do: int) -> str:
        if self._board.running:
            return "a run is under way: enter queues this one behind it   esc close"
        return "enter run it   esc close" if to_do else "nothing to do   esc close"

    def refuse(self, reason: str) -> bool:
        """Show why there is no plan; returns False once there is one."""
        if self._plan is not None:
            return False
        self._say(Text(clean(reason), style=RED), "esc close")
        return True

    def _say(self, text: Text, keys: str) -> None:
        self.query_one("#dialog-text", Static).update(text)
        self.query_one("#dialog", VerticalScroll).border_subtitle = Text(keys)

    def action_run(self) -> None:
        """Start the run, once its plan was shown; it waits behind one that is under way."""
        if self._plan is not None and self.is_current:
            self.dismiss("queue" if self._board.running else "run")

    def action_queue(self) -> None:
        """Put the run behind those that wait."""
        if self._plan is not None and self.is_current:
            self.dismiss("queue")


def _step(step: Step, title: str) -> list[Text]:
    state = "done" if step.have else "blocked" if step.blocked else "queued"
    tail = "  there already" if step.have else f"  {step.images:,} images" if step.images else ""
    lines = [Text.assemble(letter(state), " ", title, (tail, GREY))]
    return lines + [Text(f"    {clean(line)}", style=GREY) for line in step.blocked.splitlines()]
