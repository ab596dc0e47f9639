"""Pointing to data: a path with completion, what was found below it, and which of that is taken."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean
from medvlm_tui.tui.home.paths import completed, named_folder
from medvlm_tui.tui.shared.ask_line import AskLine
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.rows import Row, Rows
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state import messages
from medvlm_tui.tui.states import GREY, YELLOW

Taken = tuple[tuple[str, str], ...]
"""Name and absolute path of each dataset that is taken."""
_PAUSE_S = 0.4
"""Typing pauses for so long before the folder is looked at."""
_HELP = (
    "A folder: the study's datasets in their published layouts, folders of classes and lists below it are found.\n"
    "NAME=DIR takes a folder under a name of your own, without looking."
)


@dataclass(slots=True)
class Choice:
    """A dataset that was found, and whether it is taken; texts are safe to show."""

    name: str
    title: str
    place: str
    facts: str
    root: str
    own: bool
    chosen: bool

    @classmethod
    def of(cls, record: Mapping[str, Any], top: str, title: str) -> Choice:
        """Return a candidate of the engine's as a line."""
        own = not record["dataset"]
        images, whole = int(record["images"]), int(record["published_n"])
        count = f"{images:,} of {whole:,}" if whole and whole != images else f"{images:,} images"
        classes = f", {int(record['classes'])} classes" if own else ""
        place = os.path.relpath(str(record["root"]), top)
        return cls(
            name=str(record["name"]),
            title=f"own: {clean(str(record['name']))}" if own else title,
            place=clean("." if place == "." else place),
            facts=f"{count}{classes}, {clean(str(record['note']))}",
            root=str(record["root"]),
            own=own,
            chosen=bool(record["chosen"]),
        )

    def line(self, width: int) -> Text:
        """Return its line."""
        mark = "[x] " if self.chosen else "[ ] "
        name, place = Text(f"{mark}{self.title}"), Text(self.place, style=GREY)
        name.truncate(26, overflow="ellipsis", pad=True)
        place.truncate(max(8, min(24, width - 60)), overflow="ellipsis", pad=True)
        text = Text.assemble(name, " ", place, " ", self.facts)
        text.truncate(width, overflow="ellipsis")
        return text


class PickerScreen(AskLine[Taken]):
    """A line to type a path into, and below it what the engine finds there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", priority=True),
        Binding("down", "to_list", "to the list", show=False),
        Binding("space", "choose", "choose"),
        Binding("r", "rename", "rename"),
        Binding("enter", "take", "take"),
    ]
    DEFAULT_CSS = """
    PickerScreen #found { height: auto; max-height: 14; display: none; border: none; padding: 0; }
    PickerScreen.-found #found { display: block; }
    PickerScreen #data-problem, PickerScreen #data-others { height: auto; }
    """

    def __init__(self, titles: Mapping[str, str]) -> None:
        """`titles`: id of a dataset -> its name, safe to show."""
        keys = "tab complete / list   space choose   r rename   enter take   esc close"
        super().__init__("Data", Text(_HELP, style=GREY), keys, placeholder="~/data, or NAME=DIR")
        self._titles = titles
        self.choices: list[Choice] = []
        self._looked_at = ""
        """The path that the list below belongs to."""
        self._take_at_once = False

    def extra(self) -> ComposeResult:
        """The path, what is wrong with it or how the search goes, and what was found."""
        yield from super().extra()
        yield Rows("", widget_id="found")
        yield Static(id="data-others")

    @property
    def typed(self) -> str:
        """The line as it stands."""
        return self.query_one(Input).value

    # -- the path ----------------------------------------------------------------------------------

    @on(Input.Changed)
    def _changed(self) -> None:
        self._take_at_once = False
        self._look_soon(self.typed)

    @work(exclusive=True, group="look")
    async def _look_soon(self, typed: str) -> None:
        await asyncio.sleep(_PAUSE_S)
        await self._look(typed)

    async def _look(self, typed: str) -> None:
        """Ask the engine what lies at the path, unless it names its dataset or leads nowhere."""
        name, folder, problem = named_folder(typed)
        if problem or name or not typed.strip():
            self._show([], problem if typed.strip() and not typed.endswith(os.sep) else "")
            return
        if folder == self._looked_at:
            return
        self.say("looking ...", GREY)
        from medvlm_tui.tui.app import MedvlmApp

        assert isinstance(self.app, MedvlmApp)
        await self.app.tell_engine("look", path=folder)

    @on(messages.DataFound)
    def _found(self, message: messages.DataFound) -> None:
        event = message.event
        name, folder, _ = named_folder(self.typed)
        if name or folder != event.path:
            return  # of a path that was typed before
        choices = [
            Choice.of(record, event.path, self._titles.get(str(record["dataset"]), "")) for record in event.candidates
        ]
        self._looked_at = event.path
        self._show(choices, event.problem or ("" if choices else "no images and no lists of images below it"))
        if choices:
            self.say(f"found below it ({event.seconds:.1f} s):", GREY)
        others = ", ".join(clean(other) for other in event.others[:12])
        self.query_one("#data-others", Static).update(Text(f"nothing in: {others}" if others else "", style=GREY))
        if self._take_at_once and sum(choice.chosen for choice in choices) == 1:
            self.action_take()
        elif self._take_at_once and choices:
            self.query_one("#found", Rows).focus()

    def _show(self, choices: list[Choice], problem: str) -> None:
        self.choices = choices
        self._looked_at = self._looked_at if choices else ""
        self.set_class(bool(choices), "-found")
        self.query_one("#found", Rows).set_rows([Row(choice.root, choice.line) for choice in choices])
        self.say(problem)
        self.query_one("#data-others", Static).update(Text())

    async def action_complete(self) -> None:
        """Complete the path; go between the path and the list."""
        if self.focused is self.query_one("#found"):
            self.query_one(Input).focus()
            return
        if self.choices and named_folder(self.typed)[1] == self._looked_at:
            self.query_one("#found", Rows).focus()
            return
        line, options = await asyncio.to_thread(completed, self.typed)
        if line != self.typed:
            field = self.query_one(Input)
            field.value = line
            field.cursor_position = len(line)
        if len(options) > 1:
            self.say("  ".join(clean(option) for option in options[:20]), GREY)

    def action_to_list(self) -> None:
        """Go down into the list."""
        if self.choices:
            self.query_one("#found", Rows).focus()

    # -- the list ----------------------------------------------------------------------------------

    @property
    def current(self) -> Choice | None:
        """The line under the cursor."""
        root = self.query_one("#found", Rows).row
        return next((choice for choice in self.choices if choice.root == root), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Letters are typed while the path has the focus."""
        in_list = self.focused is not None and self.focused.id == "found"
        return in_list if action in ("choose", "rename") else True

    def action_choose(self) -> None:
        """Take the line under the cursor, or leave it."""
        if self.current is not None:
            self.current.chosen = not self.current.chosen
            self.query_one("#found", Rows).refresh()

    def action_rename(self) -> None:
        """Rename the dataset under the cursor; one of the study keeps its own."""
        choice = self.current
        if choice is None or not choice.own:
            self.say("a dataset of the study keeps its name", YELLOW)
            return

        def named(name: str | None) -> None:
            if name and (taken := self._taken_name(name, choice)):
                self.say(taken)
            elif name:
                choice.name, choice.title, choice.chosen = name, f"own: {clean(name)}", True
                self.query_one("#found", Rows).refresh()

        self.app.push_screen(NameScreen(choice.name), named)

    def _taken_name(self, name: str, own: Choice) -> str:
        if name in self._titles or any(other.name == name for other in self.choices if other is not own):
            return f"there is a dataset {clean(name)} already"
        return "a name has neither = nor ," if set(name) & set("=,") else ""

    @on(Input.Submitted)
    async def _submitted(self) -> None:
        name, folder, problem = named_folder(self.typed)
        if problem:
            self.say(problem)
        elif name:
            self.dismiss(((name, folder),))
        elif folder == self._looked_at:
            self.action_take()
        else:
            self._take_at_once = True

    def action_take(self) -> None:
        """Take what is chosen."""
        chosen = tuple((choice.name, choice.root) for choice in self.choices if choice.chosen)
        if chosen:
            self.dismiss(chosen)
        elif self.choices:
            self.say("nothing is chosen: space chooses what the cursor stands on", YELLOW)
            self.query_one("#found", Rows).focus()


class NameScreen(Dialog[str]):
    """Asks for a dataset's name."""

    AUTO_FOCUS = "Input"

    def __init__(self, name: str) -> None:
        super().__init__(
            "Name", Text("of this dataset, in tables and on the command line"), "enter take it   esc close"
        )
        self._name = name

    def extra(self) -> ComposeResult:
        """The name to change."""
        yield Input(self._name, id="data-input")

    @on(Input.Submitted)
    def _named(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip() or None)
