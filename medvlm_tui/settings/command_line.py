"""The `--batch` line of a request, which a screen copies and a study starts its runs with."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path

from medvlm_tui.core.typed_lists import join_list
from medvlm_tui.stages.request import RunRequest

# Fields whose flag is not simply their name with hyphens. The other fields already hold what --demo sets.
_NAMED = {"models", "datasets", "stages", "data", "weights", "protocols", "demo"}


def command_line(request: RunRequest, workspace: Path) -> str:
    """Return one shell line, quoted so that it is safe to paste with any names in it."""
    return shlex.join(["medvlm-tui", *batch_options(request, workspace)])


def batch_options(request: RunRequest, workspace: Path) -> list[str]:
    """Return the arguments after the program's name, without the options that have their default value."""
    words = ["--batch", "--workspace", str(workspace)]
    for name, value in (("models", request.models), ("datasets", request.datasets), ("stages", request.stages)):
        if value:
            words += [f"--{name}", join_list(value)]
    words += [word for item in request.data.items() for word in ("--data", "=".join(item))]
    words += [word for item in request.weights.items() for word in ("--weights", "=".join(item))]
    if request.protocols != ("paper",):
        words += [word for protocol in request.protocols for word in ("--protocol", protocol)]
    return words + _plain_options(request)


def _plain_options(request: RunRequest) -> list[str]:
    """Return the flags of every other field that differs from its default."""
    default = RunRequest()
    words: list[str] = []
    for field in fields(RunRequest):
        value = getattr(request, field.name)
        if field.name in _NAMED or value == getattr(default, field.name):
            continue
        flag = f"--{field.name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag)
        else:
            words += [flag, join_list(value) if isinstance(value, tuple) else str(value)]
    return words
