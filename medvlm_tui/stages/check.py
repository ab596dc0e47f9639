"""The data check: counts, unreadable files, duplicates and leakage between the parts of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medvlm_tui.stages.records.check import CheckRecord
from medvlm_tui.stages.stage import Scope, Stage


def _summary(record: CheckRecord) -> Mapping[str, Any]:
    report = record.report
    found = {name: len(getattr(report, name)) for name in ("unreadable", "exact", "near", "similar", "group_leaks")}
    return {"images": report.images, "matches": report.matches, **found}


CHECK = Stage(
    kind="check",
    version=2,
    title="data check",
    scope=Scope.FILES,
    record=CheckRecord,
    work="medvlm_tui.engine.datasets.check.step",
    summary=_summary,
    needs_models=False,
    outputs="medvlm_tui.report.check.files",
    screen="data",
)
