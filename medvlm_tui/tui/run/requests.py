"""A run in words: what it asks for, without what every run has."""

from __future__ import annotations

from pathlib import Path

from medvlm_tui.core.counts import counted
from medvlm_tui.core.safe_text import clean
from medvlm_tui.settings.command_line import command_line
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.state.board import Board


def in_short(board: Board, request: RunRequest | None) -> str:
    """Return a run in a few words: its models and datasets, or how many."""
    if request is None:
        return "asked by another release"
    models = [board.model_name(name) for name in request.models]
    datasets = [board.dataset_name(name) for name in request.datasets]
    who = [names[0] if len(names) == 1 else counted(len(names), what) for names, what in
           ((models, "model"), (datasets, "dataset")) if names]  # fmt: skip
    stages = "" if len(request.stages) > 5 else f" · {', '.join(s for s in request.stages if s != 'report')}"
    return clean(" × ".join(who) + stages)


def settings_of(request: RunRequest | None, workspace: Path) -> str:
    """Return the command line of a run, safe to show."""
    return "" if request is None else clean(command_line(request, workspace))
