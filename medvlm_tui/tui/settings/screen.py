"""Settings: the options of every run that is started from the screens, changed for now or for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.errors import UsageError
from medvlm_tui.settings.options import OPTIONS, value_of
from medvlm_tui.settings.settings_file import write_option
from medvlm_tui.stages.option import Declared
from medvlm_tui.stages.request import OWN
from medvlm_tui.tui.settings.ask_value import HidesScreen, ValueScreen
from medvlm_tui.tui.settings.form import Form, form_rows, hidden_results, shown_value, told
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Rows
from medvlm_tui.tui.shared.told import Told


class SettingsScreen(PlaceScreen):
    """A form over all options, generated from their declarations."""

    place = "settings"
    CSS_PATH = Path(__file__).with_name("settings.tcss")
    AUTO_FOCUS = "#form"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit", "change"),
        Binding("space", "next_choice", "next choice"),
        Binding("w", "write", "write to the file"),
        Binding("delete", "undo", "as at the start"),
        Binding("d", "doctor", "doctor"),
        Binding("a", "add_model", "add a model"),
        Binding("tab", "app.focus_next", "next pane", show=False),
        Binding("escape", "app.back", "back", show=False),
    ]

    def body(self) -> ComposeResult:
        """The form, and what is said of the option under the cursor."""
        with Container(id="settings-body"):
            yield Rows("Settings", widget_id="form")
            yield Told("told")

    def show(self) -> None:
        """Draw everything."""
        rows = self.query_one("#form", Rows)
        rows.set_title(f"Settings   file: {self.medvlm.settings_file}")
        rows.set_rows(form_rows(self.form))
        self._tell()

    @property
    def form(self) -> Form:
        """The values that are drawn."""
        return Form(self.medvlm.given, self.medvlm.request, self.medvlm.origins)

    @property
    def option(self) -> Declared | None:
        """The option under the cursor."""
        return OPTIONS.get(self.query_one("#form", Rows).row)

    @on(Rows.Moved, "#form")
    def _tell(self) -> None:
        each = self.option
        self.query_one(Told).tell(each.flag if each else "", told(each, self.form) if each else ())

    def action_edit(self) -> None:
        """Ask for another value; what is either yes or no is turned over."""
        each = self.option
        if each is None or each.kind is dict:
            return
        if each.kind is bool:
            self.action_next_choice()
            return
        question = ValueScreen(each, self.form.value(each.name))
        self.medvlm.push_screen(question, lambda answer: self._take(each, answer[0]) if answer else None)

    def action_next_choice(self) -> None:
        """Take the next of a few values."""
        each = self.option
        if each is None:
            return
        value = self.form.value(each.name)
        if each.kind is bool:
            self._take(each, not value)
        elif each.option.choices and each.kind is str:
            choices = each.option.choices
            self._take(each, choices[(choices.index(value) + 1) % len(choices)])

    def action_undo(self) -> None:
        """Take the value that the program was started with."""
        each, given = self.option, self.medvlm.given
        if each is not None and each.kind is not dict:
            self._take(each, value_of(given, each.name), forget=each.name not in {*OWN, *given.options})

    def _take(self, each: Declared, value: Any, forget: bool = False) -> None:
        """Take a value, after a question where it leaves results behind."""
        now = self.form.value(each.name)
        hidden = hidden_results(each, self.medvlm.board.cells.values()) if value != now else 0
        if not hidden:
            self._set(each, value, forget)
            return
        question = HidesScreen(each, shown_value(each, now), hidden)
        self.medvlm.push_screen(question, lambda taken: self._set(each, value, forget) if taken else None)

    def _set(self, each: Declared, value: Any, forget: bool) -> None:
        request = self.medvlm.request
        self.medvlm.request = request.without(each.name) if forget else request.changed({each.name: value})
        self.update()
        if each.other_results:
            self.run_worker(self.medvlm.survey())

    def action_write(self) -> None:
        """Write the option under the cursor to the settings file, where later starts of the program find it."""
        each = self.option
        if each is None or each.kind is dict:
            return
        try:
            write_option(self.medvlm.settings_file, each.name, self.form.value(each.name))
        except UsageError as error:
            self.medvlm.tell(f"{error.message}  {error.hint}", "error")
            return
        shown = shown_value(each, self.form.value(each.name))
        self.medvlm.tell(f"{each.name} = {shown} is in {self.medvlm.settings_file}")

    def action_doctor(self) -> None:
        """Look at the machine."""
        from medvlm_tui.tui.doctor.screen import DoctorScreen

        self.medvlm.push_screen(DoctorScreen())

    def action_add_model(self) -> None:
        """Add a model by its prefix or its folder."""
        from medvlm_tui.tui.doctor.add_model import ask_model

        ask_model(self.medvlm)
