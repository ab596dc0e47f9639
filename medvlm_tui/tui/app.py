"""The program's screens over one engine process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.terminal_theme import TerminalTheme
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from medvlm_tui.core.atomic_files import write_atomic
from medvlm_tui.core.events import Event, Log, RunFinished, RunRefused
from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.service.client import Client
from medvlm_tui.service.picture_client import PictureClient
from medvlm_tui.service.reading_client import client_of
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui import leaving, trail
from medvlm_tui.tui.keys.actions import KeyAction
from medvlm_tui.tui.keys.named_bindings import NamedBindings
from medvlm_tui.tui.places import PLACES, screen_factory
from medvlm_tui.tui.state import messages
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.selection import Selection
from medvlm_tui.tui.state.store_reader import Results
from medvlm_tui.tui.theme import DARK, LOOKS, names_of

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.filter import LineFilter

    from medvlm_tui.tui.shared.notice import Leaving


def things_provider() -> type[Provider]:
    """Return the palette's source of models, datasets and images, imported when the palette opens."""
    from medvlm_tui.tui.keys.things import ThingsProvider

    return ThingsProvider


Severity = Literal["information", "warning", "error"]


class MedvlmApp(NamedBindings, App[int]):
    """Listens to the engine, keeps the board, and moves between places."""

    TITLE = "medvlm-tui"
    bindings_owner = "app"
    COMMANDS = App.COMMANDS | {things_provider}
    # The screen that is the default one loads no CSS_PATH of its own.
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "home/home.tcss"]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (180, "-wide")]  # noqa: RUF012 (Textual declares it so)
    SCREENS: ClassVar[dict[str, Callable[[], Screen[object]]]] = {
        place.name: screen_factory(place) for place in PLACES if place.name != "home"
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(f"{place.digit},{place.key}", f"go('{place.name}')", f"{place.name}: {place.purpose}", show=False)
            for place in PLACES
        ),
        Binding("full_stop", "actions", "menu of all actions here", show=False),
        Binding("f1,question_mark", "help", "every key, searchable", show=False),
        Binding("colon", "command_palette", "palette: every action, model, dataset and image by name", show=False),
        Binding("g", "jump", "go to a place by its letter", show=False),
        Binding("y", "copy", "copy the command line of this screen, or what it shows", show=False),
        Binding("escape,backspace,ctrl+o", "back", "back along the trail of screens", show=False),
        Binding("ctrl+c", "copy_selection", "copy the text that the mouse has selected", show=False),
        Binding("q,ctrl+q", "leave", "quit; a run goes on", show=False),
    ]

    def __init__(
        self,
        workspace: Path,
        client: Client | None = None,
        request: RunRequest | None = None,
        place: str = "home",
        origins: Mapping[str, str] | None = None,
    ) -> None:
        """`place` is the screen that is shown first; `origins` where each option has its value from (sources.py)."""
        super().__init__()
        self._first_place = place
        self.workspace = workspace
        self.client: Client = client or client_of(workspace)
        self.request = (request or RunRequest()).with_absolute_paths()
        """Request from the command line and the settings; every run starts from it."""
        self.given, self.origins = self.request, origins or {}
        """Request that the program was started with, and the place that each of its values comes from."""
        self.board = Board()
        self.selection = Selection(*self._first_cell())
        self.results = Results(workspace / "store")
        self.pictures = PictureClient(workspace)
        """Single images of datasets, as `await app.pictures.picture(app.request, dataset, image id)`."""
        self.engine_error: MedvlmError | None = None
        self._given_keys: dict[str, str] = {}
        """Keys of the settings file by the ids of their actions."""
        self.left_running = False
        """The user left while a run was under way."""
        self._plain_characters: tuple[LineFilter, ...] = ()
        self.once_mounted: list[Callable[[], object]] = []
        """Called when the first screen is there."""
        self.animation_level = "none"
        # Before the first frame: set later, a theme has every style computed twice.
        for name in self.available_themes:
            self.unregister_theme(name)  # Textual's own: nobody has looked at our screens in them
        for look in LOOKS.values():
            self.register_theme(look.theme)
        self.theme = DARK.theme.name
        self._refresh_truecolor_filter(self.ansi_theme)  # a theme set before the first frame does not do it

    def _first_cell(self) -> tuple[str, str]:
        """Return the model and dataset of the command line, where there are any, else the phantom's."""
        datasets = (*self.request.datasets, *self.request.data)
        return next(iter(self.request.models), ""), next(iter(datasets), "")

    @property
    def settings_file(self) -> Path:
        """The file that holds the settings of later starts, whether it exists or not."""
        from medvlm_tui.settings.sources import config_file

        return config_file()

    @property
    def ansi_theme(self) -> TerminalTheme:
        """Return what the sixteen names of colours mean under the theme and in this terminal."""
        return names_of(self.theme, self.console.color_system)

    @property
    def heat(self) -> tuple[str, ...]:
        """Grounds behind ranked numbers from low to high; none where a terminal has few colours or none."""
        few = self.no_color or self.console.color_system not in ("truecolor", "256")
        return () if few else LOOKS[self.theme].heat

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what changes every line that is drawn: colours as the terminal has them, and at last ASCII."""
        return (*super().get_line_filters(), *self._plain_characters)

    def draw_in_ascii(self) -> None:
        """Draw everything with ASCII from now on."""
        from medvlm_tui.tui.plain_characters import PlainCharacters

        self._plain_characters = (PlainCharacters(),)

    def get_default_screen(self) -> Screen[object]:
        """Home lies below all other places."""
        return screen_factory(PLACES[0])()

    def on_mount(self) -> None:
        """Listen to the engine once the first screen is drawn."""
        self.call_after_refresh(self.restart_engine)
        for call in self.once_mounted:
            call()
        if not self.is_headless:
            leaving.heed_signals(lambda code: self.call_later(self.leave, "go_on", code))
        if self._given_keys:
            self.call_after_refresh(self._check_keymap)
        if self._first_place != "home":
            self.call_after_refresh(self.action_go, self._first_place)

    def restart_engine(self) -> None:
        """Find the engine or start it, and listen to it."""
        self.engine_error = None
        self.run_worker(self._listen(), group="engine", exclusive=True)

    async def _listen(self) -> None:
        try:
            await self.client.start()
            await self.client.send({"cmd": "survey", "request": self.request.to_record()})
            async for event in self.client.events():
                self.board.apply(event)
                if not self.board.catching_up:
                    await self._pass_on(event)
        except MedvlmError as error:
            self._engine_gone(error)

    async def _pass_on(self, event: Event) -> None:
        self._tell_refusal(event)
        if isinstance(event, RunRefused) and not event.run_id:
            await self.client.send({"cmd": "watch"})  # what is under way instead, if anything
        if isinstance(event, RunFinished | RunRefused):
            await self.survey()
        if (message := messages.of_event(event)) is not None:
            for screen in self._shown():
                screen.post_message(message)

    def _shown(self) -> list[Screen[object]]:
        """Return the place that is shown, and the dialogs over it: it goes on under them."""
        stack = list(reversed(self.screen_stack))
        place = next((index for index, screen in enumerate(stack) if not screen.is_modal), 0)
        return stack[: place + 1]

    def _tell_refusal(self, event: Event) -> None:
        """Show why a survey, a plan or a run was refused: without a run there is no log that shows it."""
        if isinstance(event, Log) and event.level == "error" and self._refuse_plan(event.message):
            return
        if isinstance(event, Log) and event.level == "error" and not self.board.running:
            self.tell("  ".join(event.message.splitlines()), "error")
        if isinstance(event, RunRefused) and not event.run_id:
            self.tell(f"{event.error}  {event.hint}", "warning")

    def _refuse_plan(self, reason: str) -> bool:
        """Show the reason where a plan is waited for; returns False where none is."""
        from medvlm_tui.tui.shared.run_plan import RunPlan

        return isinstance(self.screen, RunPlan) and self.screen.refuse(reason)

    def _engine_gone(self, error: MedvlmError) -> None:
        self.engine_error = error
        self.board.engine_gone()
        self.screen.post_message(messages.EngineGone(error))
        from medvlm_tui.tui.shared.notice import EngineNotice

        said = [line.message for line in self.board.log if line.level == "error"][-3:]
        self.push_screen(EngineNotice(error, said), lambda answer: self.restart_engine() if answer else None)

    async def tell_engine(self, command: str, request: RunRequest | None = None, **more: str) -> bool:
        """Send a command; say so and return False when the engine is gone."""
        record: dict[str, object] = {"cmd": command, **more}
        if request is not None:
            record["request"] = request.to_record()
        try:
            await self.client.send(record)
        except MedvlmError as error:
            self.tell(error.message, "error")
            return False
        return True

    async def survey(self) -> None:
        """Ask what exists anew."""
        await self.tell_engine("survey", self.request)

    async def ask_run(
        self,
        request: RunRequest,
        place: str = "run",
        note: str = "",
        kept_masks: int = 0,
        started: Callable[[], object] | None = None,
    ) -> None:
        """Show what a run would do and cost, and start it when the user says so.

        `kept_masks` of every image to explain are scored already; `started` is called once the run was started.
        """
        from medvlm_tui.tui.shared.run_plan import RunPlan

        request = request.with_absolute_paths()
        dialog = RunPlan(self.board, self.workspace, note, kept_masks)

        async def answered(answer: str | None) -> None:
            if answer == "queue":
                await self.tell_engine("queue", request, do="add")
                self.tell("queued: F3 shows what waits")
            if answer == "run":
                await self.start_request(request, place)
            if answer is not None and started is not None:
                started()

        await self.push_screen(dialog, answered)
        await self.tell_engine("plan", request, asked=dialog.asked)

    async def start_request(self, request: RunRequest, place: str = "run") -> None:
        """Start a run unless one is under way, and go where it is watched."""
        if self.board.running:
            self.tell("a run is under way: F3 shows it, c cancels it there", "warning")
            return
        self.board.begin(request)
        if await self.tell_engine("run", request):
            self.action_go(place)
        else:
            self.board.engine_gone()

    def action_go(self, name: str) -> None:
        """Show a place; `esc` leads back along the trail."""
        trail.go(self, name)

    async def action_back(self) -> None:
        """Leave this screen for the one before it."""
        trail.back(self)

    def redraw(self) -> None:
        """Draw the place that is shown anew."""
        update = getattr(self.screen, "update", None)
        if callable(update):
            update()

    def action_help(self) -> None:
        """Show every key of this place."""
        from medvlm_tui.tui.keys.help import KeysScreen

        if not self.screen.is_modal:
            self.push_screen(KeysScreen(self.screen))

    async def action_actions(self) -> None:
        """Offer everything that can be done with what is under the cursor."""
        from medvlm_tui.tui.keys.menu import ActionMenu

        async def chosen(action: KeyAction | None) -> None:
            if action is not None:
                await self.run_action(action.action, action.node)

        await self.push_screen(ActionMenu(self.screen), chosen)

    def action_jump(self) -> None:
        """Wait for the letter of a place."""
        from medvlm_tui.tui.keys.jump import JumpScreen

        self.push_screen(JumpScreen(), lambda name: self.action_go(name) if name else None)

    async def action_copy(self) -> None:
        """Offer what this screen can copy."""
        from medvlm_tui.tui.shared.copying import Copyable, CopyScreen

        def chosen(one: Copyable | None) -> None:
            if one is not None:
                self.copy(one.text, one.name)

        offered: list[Copyable] = getattr(self.screen, "copies", list)()
        if offered:
            await self.push_screen(CopyScreen(offered), chosen)
        else:
            self.tell("nothing here can be copied by a key: select it with the mouse, then ctrl+c")

    def action_copy_selection(self) -> None:
        """Copy what the mouse has selected; without a selection say how one quits."""
        if text := self.screen.get_selected_text():
            self.copy(text, "the selection")
        else:
            self.tell("nothing is selected to be copied; q quits")

    def copy(self, text: str, what: str) -> None:
        """Send a text to the terminal, and keep it in the workspace for terminals that take none; say so."""
        from medvlm_tui.tui.shared.copying import FILE

        file = self.workspace / FILE
        try:
            write_atomic(file, text.encode("utf-8", "backslashreplace"))
            kept = f"; it is in {file} too"
        except OSError as error:
            kept = f"; {file} cannot be written: {error.strerror}"
        self.copy_to_clipboard(text)
        self.tell(f"{what}: sent to the terminal (OSC 52), which may not take it{kept}")

    def tell(self, message: str, severity: Severity = "information") -> None:
        """Show a message for some seconds, whatever it holds."""
        self.notify(clean(message), severity=severity, markup=False)

    async def action_leave(self) -> None:
        """Quit; a run under way goes on, which is said first."""
        if not self.board.running:
            await self.leave("go_on")
            return
        from medvlm_tui.tui.shared.notice import QuitNotice

        if not isinstance(self.screen, QuitNotice):
            self.push_screen(QuitNotice(leaving.attach_line(self.workspace)), self.leave)

    async def leave(self, run: Leaving | None, code: int = 0) -> None:
        """Quit, unless the answer was to stay; the engine is not waited for."""
        if run is None:
            return
        if run == "cancel":
            await self.tell_engine("cancel")
        self.left_running = self.board.running and run == "go_on"
        await self.client.leave()
        self.results.close()
        self.exit(code)

    def _fatal_error(self) -> None:
        """Write the traceback to the log: Textual would print it with all local variables, the environment too."""
        self.panic(leaving.crash_note(self.workspace, self._exception))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer Textual's own commands, then every action of every place."""
        from medvlm_tui.tui.keys import palette

        yield from super().get_system_commands(screen)
        yield from palette.commands(self, screen, self.action_go)

    async def action_quit(self) -> None:
        """Quit as the key does: with a question while a run is under way."""
        await self.action_leave()

    def take_keymap(self, keymap: Mapping[str, str]) -> None:
        """Set other keys for actions, by the ids that `?` shows."""
        self._given_keys = dict(keymap)
        self.set_keymap(self._given_keys)

    def _check_keymap(self) -> None:
        """Warn of ids in the settings file that do not exist, and of actions that lose their key to another."""
        from medvlm_tui.tui.keys.palette import problems_of

        for problem in problems_of(self._given_keys):
            self.tell(f"[keys] in the settings: {problem}", "warning")
