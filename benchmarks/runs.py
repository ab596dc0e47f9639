"""Runs of a study: a request goes through the front door, and the store is asked what came of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from medvlm_tui.core.store.store import Store, StoredResult
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.settings.command_line import batch_options
from medvlm_tui.stages.request import RunRequest


def do(folder: Path, request: RunRequest) -> None:
    """Do a request with everything below `folder`; what is there already is not computed again."""
    subprocess.run([sys.executable, "-m", "medvlm_tui", *batch_options(request, folder)], check=True)


def run(folder: Path, request: RunRequest) -> dict[str, StoredResult]:
    """Do a request of one model and one dataset; return kind -> result.

    The probe's record gains the images' ids, in the rows' order.
    """
    do(folder, request)
    workspace = Workspace(folder)
    with Store(workspace.store, read_only=True) as store:
        keys = {step.kind: step.key for step in lay_out(request, workspace, store, "").plan.steps}
        results = {kind: store.result(key) for kind, key in keys.items() if kind != "extract"}
        table = store.tables.read(keys["extract"])
    found = {kind: result for kind, result in results.items() if result is not None}
    if "probe" in found and table is not None:
        found["probe"].record["ids"] = list(table.ids)
    return found
