"""Doctor: what this machine has, what it lacks, and the line that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.errors import MedvlmError
from medvlm_tui.tui.doctor.findings import Finding, details, finding_rows, read_findings, summary
from medvlm_tui.tui.doctor.program import run_program, surroundings
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Rows, plain
from medvlm_tui.tui.shared.told import Told
from medvlm_tui.tui.states import GREY, look


class DoctorScreen(PlaceScreen):
    """One line for each check of `medvlm-tui doctor`, which runs in a process of its own."""

    place = "doctor"
    CSS_PATH = Path(__file__).with_name("doctor.tcss")
    AUTO_FOCUS = "#findings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "fix", "how to mend it"),
        Binding("y", "copy_fix", "copy the fix"),
        Binding("r", "look", "look again"),
        Binding("a", "add_model", "add a model"),
        Binding("tab", "app.focus_next", "next pane", show=False),
        Binding("escape", "app.back", "back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.findings: list[Finding] = []

    def body(self) -> ComposeResult:
        """The checks, and the fix of the one under the cursor."""
        with Container(id="doctor-body"):
            yield Rows("Doctor", widget_id="findings")
            yield Told("fix")

    def on_mount(self) -> None:
        """Look at once."""
        self.action_look()

    @work(exclusive=True, group="doctor")
    async def action_look(self) -> None:
        """Run the checks."""
        rows, request = self.query_one("#findings", Rows), self.medvlm.request
        rows.set_title("Doctor: looking at this machine ...")
        flags = [*surroundings(request, self.medvlm.workspace), "--device", request.device]
        width, height = self.app.size
        try:
            self.findings = read_findings(await run_program(["doctor", "--json", *flags], width, height))
        except MedvlmError as error:
            self.findings = []
            rows.set_title("Doctor")
            rows.set_rows([plain(Text(error.message, style=look("failed").style)), plain(Text(error.hint, style=GREY))])
            return
        rows.set_title(f"Doctor: {summary(self.findings)}")
        self.show()

    def show(self) -> None:
        """Draw what was found."""
        if self.findings:
            self.query_one("#findings", Rows).set_rows(finding_rows(self.findings))
        self._tell()

    @property
    def finding(self) -> Finding | None:
        """The check under the cursor."""
        row = self.query_one("#findings", Rows).row
        return self.findings[int(row)] if row and int(row) < len(self.findings) else None

    @on(Rows.Moved, "#findings")
    def _tell(self) -> None:
        found = self.finding
        self.query_one(Told).tell(found.what if found else "", details(found) if found else ())

    def action_fix(self) -> None:
        """Show the whole of a finding, and how to mend it."""
        if (found := self.finding) is not None:
            self.medvlm.push_screen(FixScreen(found), lambda copied: self.action_copy_fix() if copied else None)

    def action_copy_fix(self) -> None:
        """Copy the fix, or what was found where there is nothing to mend."""
        if (found := self.finding) is not None:
            text = found.fix or found.detail
            self.app.copy_to_clipboard(text)
            self.medvlm.tell(f"copied: {text}")

    def action_add_model(self) -> None:
        """Add a model by its prefix or its folder."""
        from medvlm_tui.tui.doctor.add_model import ask_model

        ask_model(self.medvlm)


class FixScreen(Dialog[bool]):
    """A finding in full; answers True to copy its fix."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "copy"),
        Binding("enter", "close", "close", show=False),
    ]

    def __init__(self, found: Finding) -> None:
        super().__init__(found.what, Text("\n").join(details(found)), "y copy   esc close")

    def action_copy(self) -> None:
        """Copy the fix."""
        self.dismiss(True)
