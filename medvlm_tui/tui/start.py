"""The screens from the command line: their look from the settings, and what is said when they close."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from textual.theme import Theme

from medvlm_tui.errors import MedvlmError
from medvlm_tui.settings.screens import Appearance
from medvlm_tui.settings.settings_file import write_value
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui import leaving
from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.theme import DARK, LOOKS

_NOT_UTF8 = "drawn in ASCII, since the locale has no UTF-8: export LC_ALL=C.UTF-8 changes that"


def run_tui(
    settings: Settings,
    request: RunRequest,
    mouse: bool = True,
    place: str = "home",
    origins: Mapping[str, str] | None = None,
) -> int:
    """Show the screens until the user quits; returns the exit code."""
    app = MedvlmApp(settings.workspace, request=request, place=place, origins=origins)
    app.take_keymap(settings.keys)
    dress(app, settings.appearance, settings.file, os.environ)
    code = app.run(mouse=mouse)
    if app.left_running:
        leaving.say_farewell(settings.workspace)
    return code if code is not None else app.return_code or 0


def dress(app: MedvlmApp, look: Appearance, file: Path, environment: Mapping[str, str]) -> None:
    """Set the look of the screens by the settings, and keep a theme that is chosen later in the settings file."""
    unknown = look.theme and look.theme not in LOOKS
    if look.theme and not unknown:
        app.theme = look.theme
    if unknown:
        said = f"{file}: there is no theme {look.theme!r}: {', '.join(LOOKS)}"
        app.once_mounted.append(partial(app.tell, said, "warning"))
    if look.in_ascii(environment):
        app.draw_in_ascii()
        if look.characters == "auto":
            app.once_mounted.append(partial(app.tell, _NOT_UTF8))
    keep = partial(keep_theme, app, file)
    app.once_mounted.append(lambda: app.theme_changed_signal.subscribe(app, keep, immediate=True))


def keep_theme(app: MedvlmApp, file: Path, theme: Theme) -> None:
    """Write the name of a theme to the settings file; the default one is taken out of it."""
    try:
        write_value(file, ("theme",), None if theme.name == DARK.theme.name else theme.name)
    except MedvlmError as error:
        app.tell(f"the theme is not kept: {error.message}", "warning")
