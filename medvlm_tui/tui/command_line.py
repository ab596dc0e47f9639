"""The `--batch` line that does what a screen shows."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path

from medvlm_tui.core.lists import join_list
from medvlm_tui.core.params import RunRequest

# Fields whose flag is not simply their name with hyphens, or that take no flag of their own.
_NAMED = {"models", "datasets", "stages", "data", "weights", "protocols", "demo", "phantom_per_class"}


def command_line(request: RunRequest, workspace: Path) -> str:
    """Return one shell line, safe to paste whatever names it holds; options at their defaults are left out."""
    words = ["medvlm-tui", "--batch", "--workspace", str(workspace)]
    for name, value in (("models", request.models), ("datasets", request.datasets), ("stages", request.stages)):
        if value:
            words += [f"--{name}", join_list(value)]
    words += [word for item in request.data.items() for word in ("--data", "=".join(item))]
    words += [word for item in request.weights.items() for word in ("--weights", "=".join(item))]
    if request.protocols != ("paper",):
        words += [word for protocol in request.protocols for word in ("--protocol", protocol)]
    words += _options(request)
    return shlex.join(words)


def _options(request: RunRequest) -> list[str]:
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
