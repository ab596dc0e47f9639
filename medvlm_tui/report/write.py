"""Write everything that a run leaves behind: the files of each stage, then the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Protocol, cast

from medvlm_tui.core.atomic_files import refuse_linked_folders
from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.manifest import write_manifest
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.stages import STAGES


class Outputs(Protocol):
    """A module that `Stage.outputs` names."""

    def tables(self, results: Gathered, out: Path) -> Iterator[FileWritten]:
        """Write the stage's tables below `out`; yields each file when it is complete."""

    def figures(self, results: Gathered, out: Path) -> Iterator[FileWritten]:
        """Draw the stage's figures below `out`; yields each file when it is complete."""


def write_report(source: ReportInput, out: Path) -> Iterator[FileWritten]:
    """Write tables, per-image files, figures and the manifest below `out`; yields each file when it is complete.

    Only what the store has is written: a step that failed leaves its files out, and the manifest says why.
    Raises OSError when `out` cannot be written, StoreError when a folder below it is a link to another place.
    """
    refuse_linked_folders(out)
    results = Gathered(source)
    written: list[Path] = []
    for event in chain(write_tables(results, out), draw_figures(results, out)):
        written.append(Path(event.path))
        yield event
    write_manifest(out / "manifest.json", source, results, written)
    yield FileWritten(str(out / "manifest.json"), "manifest")


def write_tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write the tables and per-image files of every stage; yields each file when it is complete."""
    for module in _modules():
        yield from module.tables(results, out)


def draw_figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw the figures of every stage; yields each file when it is complete."""
    for module in _modules():
        yield from module.figures(results, out)


def _modules() -> list[Outputs]:
    names = dict.fromkeys(stage.outputs for stage in STAGES if stage.outputs)
    return [cast(Outputs, import_module(name)) for name in names]
