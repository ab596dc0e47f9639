"""Asking which files to write, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean_lines
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.rows import Row, Rows
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.states import GREY, look


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file that can be written."""

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Export:
    """The answer: the files to write, by name, and their folder."""

    folder: Path
    names: tuple[str, ...]


class ExportScreen(Dialog[Export]):
    """The files, each on or off, and the folder that they are written into."""

    AUTO_FOCUS = "#export-files"
    DEFAULT_CSS = """
    ExportScreen #export-files, ExportScreen #export-files:focus { border: none; padding: 0; }
    ExportScreen Input, ExportScreen Input:focus {
        border: none; height: 1; padding: 0 1; margin-top: 1; background: $panel;
    }
    ExportScreen Input:focus { background: $panel-lighten-1; }
    ExportScreen #export-problem { height: auto; min-height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "write", "write them"),
        Binding("space", "choose", "write this one or not"),
    ]

    def __init__(self, files: Sequence[ExportFile], folder: Path) -> None:
        super().__init__(
            "Export what is shown", Text("Nothing is computed for it.", style=GREY),
            "enter write   space on or off   tab folder   esc close",
        )  # fmt: skip
        self._files, self._folder = {one.name: one for one in files}, folder
        self._chosen = set(self._files)

    def extra(self) -> ComposeResult:
        """The files, the folder, what is wrong with it."""
        yield Rows("", widget_id="export-files")
        yield Input(str(self._folder), id="export-folder", placeholder="folder")
        yield Static(id="export-problem")

    def on_mount(self) -> None:
        """Fill the list."""
        self.query_one(Rows).styles.height = len(self._files)
        self._draw()

    def _draw(self) -> None:
        rows = [Row(name, partial(_line, one, name in self._chosen)) for name, one in self._files.items()]
        self.query_one(Rows).set_rows(rows)

    def action_choose(self) -> None:
        """Write the file under the cursor, or leave it out."""
        if name := self.query_one(Rows).row:
            self._chosen ^= {name}
            self._draw()

    @on(Input.Submitted)
    def action_write(self) -> None:
        """Answer, unless something is wrong with what was chosen."""
        folder = Path(self.query_one(Input).value.strip()).expanduser()
        names = tuple(name for name in self._files if name in self._chosen)
        there = next((name for name in names if (folder / name).exists()), "")
        problem = (
            "choose a file: space" if not names
            else "give the whole path of a folder" if not folder.is_absolute()
            else f"{there} is in this folder already: name another one" if there
            else f"{folder} is no folder" if folder.exists() and not folder.is_dir()
            else ""
        )  # fmt: skip
        if problem:
            self.query_one("#export-problem", Static).update(Text(clean_lines(problem), style=look("failed").style))
        elif self.is_current:
            self.dismiss(Export(folder, names))


def _line(one: ExportFile, chosen: bool, _width: int) -> Text:
    return Text.assemble(("[x] " if chosen else "[ ] "), (f"{one.name:<12}", "bold"), (one.what, GREY))
