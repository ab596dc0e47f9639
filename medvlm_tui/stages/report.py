"""The report: tables, figures and the manifest of everything that a run computed."""

from __future__ import annotations

from medvlm_tui.stages.stage import Scope, Stage

REPORT = Stage(
    kind="report",
    version=1,
    title="report",
    scope=Scope.REPORT,
    record=dict,
    needs_models=False,
    screen="",
)
