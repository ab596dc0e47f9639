"""The `--batch` line of a request, which a screen copies and a study starts its runs with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from medvlm_tui.core.typed_lists import join_list
from medvlm_tui.settings.options import OPTIONS, all_values
from medvlm_tui.stages.option import Declared
from medvlm_tui.stages.request import RunRequest


def command_line(request: RunRequest, workspace: Path) -> str:
    """Return one shell line, quoted so that it is safe to paste with any names in it."""
    return shlex.join(["medvlm-tui", *batch_options(request, workspace)])


def batch_options(request: RunRequest, workspace: Path) -> list[str]:
    """Return the arguments after the program's name, without the options that have their default value.

    The stages are named whatever they are: they say what the line does. The other options already hold what `--demo`
    sets, so it is left out.
    """
    words = ["--batch", "--workspace", str(workspace)]
    for name, value in all_values(request).items():
        each = OPTIONS[name]
        if name != "demo" and (value if name == "stages" else value != each.default):
            words += flag_words(each, value)
    return words


def flag_words(each: Declared, value: Any) -> list[str]:
    """Return the words of a command line that set an option to a value."""
    if isinstance(value, bool):
        return [each.flag]
    if isinstance(value, dict):
        return [word for item in value.items() for word in (each.flag, "=".join(item))]
    if each.option.repeated:
        return [word for item in value for word in (each.flag, item)]
    return [each.flag, join_list(value) if isinstance(value, tuple) else str(value)]
