"""A model of one's own by prefix or folder: tried on one image, then kept for every later run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on, work
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean, clean_lines
from medvlm_tui.tui.doctor.program import run_program, surroundings
from medvlm_tui.tui.shared.ask_line import AskLine
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.stages.request import RunRequest
    from medvlm_tui.tui.app import MedvlmApp

PREFIXES = ("timm:NAME", "open_clip:NAME/TAG", "hf:ORG/NAME", "local:DIR")


class AddModelScreen(AskLine[str]):
    """Ask for a model and try it on one image; answers its name once that worked."""

    def __init__(self, request: RunRequest, workspace: Path) -> None:
        text = f"A model by its prefix: {', '.join(PREFIXES)}.\nIt is tried on one image before it is kept."
        super().__init__("Add a model", Text(text), "enter try it   esc close", placeholder=PREFIXES[0])
        self._request, self._workspace = request, workspace

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        name = model_name(event.value)
        if name:
            self._try(name)
        else:
            self.say(f"begin with one of {', '.join(PREFIXES)}")

    @work(exclusive=True, group="try")
    async def _try(self, name: str) -> None:
        self.say("loading it and trying one image ...", GREY)
        flags = surroundings(self._request, self._workspace)
        ended = await run_program(["models", "--add", name, "--device", self._request.device, *flags])
        if ended.code:
            self.say(clean_lines(ended.complaint.strip()) or f"it ended with code {ended.code}")
            return
        self.dismiss(clean(name))


def model_name(typed: str) -> str:
    """Return a model's name as the program takes it, a folder as `local:` with its whole path; empty for other text."""
    prefix, colon, rest = typed.strip().partition(":")
    if colon and rest and any(prefix == known.partition(":")[0] for known in PREFIXES):
        return f"local:{_whole(rest)}" if prefix == "local" else f"{prefix}:{rest}"
    return f"local:{_whole(typed.strip())}" if typed.strip().startswith(("/", "~", "./", "../")) else ""


def _whole(folder: str) -> Path:
    try:
        return Path(folder.strip()).expanduser().absolute()
    except RuntimeError:  # `~nobody`: the command says that it is no folder
        return Path(folder.strip()).absolute()


def ask_model(app: MedvlmApp) -> None:
    """Ask for a model; what was kept is in the next survey."""

    def kept(name: str | None) -> None:
        if name:
            app.tell(f"{name} works and is kept: it stands among the models on home")
            app.run_worker(app.survey())

    app.push_screen(AddModelScreen(app.request, app.workspace), kept)
