"""A dry run: what would be done, what is there already, what cannot run."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text

from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.states import GREY, YELLOW, letter

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp


class PlanScreen(Dialog[None]):
    """The steps of a plan."""

    def __init__(self, plan: Plan) -> None:
        super().__init__("Dry run", Text())
        self._plan = plan

    def on_mount(self) -> None:
        """Names of models and datasets are known to the app."""
        from medvlm_tui.tui.shared.static import Static

        board = cast("MedvlmApp", self.app).board
        have = sum(step.have for step in self._plan.steps)
        blocked = sum(bool(step.blocked) for step in self._plan.steps)
        images = sum(step.images for step in self._plan.steps if not step.have and not step.blocked)
        steps = len(self._plan.steps)
        head = f"{steps} steps: {have} there already, {steps - have - blocked} to do, {blocked} blocked"
        lines = [Text(head, style="bold"), Text(f"{images:,} images to encode"), Text()]
        lines += [line for step in self._plan.steps for line in _step(step, board.title(step))]
        lines += [Text(f"! {clean(warning)}", style=YELLOW) for warning in self._plan.warnings]
        self.query_one("#dialog-text", Static).update(Text("\n").join(lines))


def _step(step: Step, title: str) -> list[Text]:
    state = "done" if step.have else "blocked" if step.blocked else "queued"
    tail = "  there already" if step.have else f"  {step.images:,} images" if step.images else ""
    lines = [Text.assemble(letter(state), " ", title, (tail, GREY))]
    return lines + [Text(f"    {clean(line)}", style=GREY) for line in step.blocked.splitlines()]
