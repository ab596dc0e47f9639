"""`medvlm-tui compare`: what differs between two runs, and whether that is beyond noise."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medvlm_tui.errors import ExitCode
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest

if TYPE_CHECKING:
    from medvlm_tui.report.two_runs.differences import Change, Differences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("before", metavar="RUN_A", type=Path, help="folder that a run wrote (its --out)")
    parser.add_argument("after", metavar="RUN_B", type=Path, help="folder that another run wrote")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Print what differs; raises MedvlmError for a folder that no run wrote."""
    from medvlm_tui.report.two_runs.differences import compare_runs
    from medvlm_tui.report.two_runs.lines import lines
    from medvlm_tui.report.two_runs.run_files import RunFiles

    found = compare_runs(RunFiles.read(options.before), RunFiles.read(options.after))
    if options.json:
        print(json.dumps(_record(found), indent=2, ensure_ascii=True))
    else:
        print("\n".join(lines(found)))
    return int(ExitCode.OK)


def _record(found: Differences) -> dict[str, Any]:
    return {
        "settings": {name: {"before": before, "after": after} for name, (before, after) in found.settings.items()},
        "datasets": list(found.datasets),
        "only_before": [asdict(cell) for cell in found.only_before],
        "only_after": [asdict(cell) for cell in found.only_after],
        "changes": [_change(change) for change in found.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    return {**asdict(change), "difference": change.difference}
