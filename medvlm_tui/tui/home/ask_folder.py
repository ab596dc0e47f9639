"""Asking for a data folder."""

from __future__ import annotations

import re
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.states import look


class DataScreen(Dialog[tuple[str, str]]):
    """NAME=DIR, or DIR alone; answers (name, absolute path)."""

    AUTO_FOCUS = "Input"

    def __init__(self) -> None:
        text = Text.assemble(
            "A folder of class folders, or a CSV with the columns path and label.\n",
            "With the id of one of the study's datasets it is read in that one's layout: ",
            ("brain_mr=~/data/brain_mri", "bold"),
        )
        super().__init__("Point to data", text, "enter take it   esc close")

    def extra(self) -> ComposeResult:
        """A line to type in, and room for what is wrong with it."""
        yield Input(placeholder="NAME=DIR", id="data-input")
        yield Static(id="data-problem")

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        name, folder, problem = named_folder(event.value)
        if problem:
            self.query_one("#data-problem", Static).update(Text(problem, style=look("failed").style))
            return
        self.dismiss((name, folder))


def named_folder(typed: str) -> tuple[str, str, str]:
    """Return (name, absolute path, problem) of what was typed; the problem is empty when it can be used."""
    name, equals, folder = typed.strip().partition("=")
    if not equals:
        name, folder = "", name
    if not folder.strip():
        return "", "", "type NAME=DIR"
    try:
        path = Path(folder.strip()).expanduser().absolute()
        exists = path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        return "", "", clean(f"{folder}: {error}")
    if not exists:
        return "", "", clean(f"there is nothing at {path}")
    name = name.strip() or re.sub(r"[^a-z0-9_]+", "_", path.stem.lower()).strip("_")
    return name or "data", str(path), ""
