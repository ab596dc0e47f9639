"""Write everything that a run leaves behind: the files of each stage, the page, then the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Protocol, cast

from medvlm_tui.core.atomic_files import refuse_linked_folders, write_export
from medvlm_tui.core.events import FileWritten, Log
from medvlm_tui.report.manifest import manifest_record, write_manifest
from medvlm_tui.report.page.blocks import Section
from medvlm_tui.report.page.render import render
from medvlm_tui.report.page.run_section import run_section
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.scores.files import left_out
from medvlm_tui.stages import STAGES

PAGE = "report.html"


class Outputs(Protocol):
    """A module that `Stage.outputs` names."""

    def tables(self, results: Gathered, out: Path) -> Iterator[FileWritten]:
        """Write the stage's tables below `out`; yields each file when it is complete."""

    def figures(self, results: Gathered, out: Path) -> Iterator[FileWritten]:
        """Draw the stage's figures below `out`; yields each file when it is complete."""


class WithSections(Protocol):
    """Such a module that has something to say on the page too."""

    def sections(self, results: Gathered, written: Sequence[Path]) -> Iterable[Section]:
        """Return the stage's sections of report.html; `written` are the files of the report so far."""


def write_report(source: ReportInput, out: Path) -> Iterator[FileWritten | Log]:
    """Write tables, per-image files, figures, the page and the manifest below `out`; yields each complete file.

    Only what the store has is written: a step that failed leaves its files out, and the manifest says why. A file that
    this installation cannot write is told of by a Log and in the manifest.
    Raises OSError when `out` cannot be written, StoreError when a folder below it is a link to another place.
    """
    refuse_linked_folders(out)
    results = Gathered(source)
    written: list[Path] = []
    for event in chain(write_tables(results, out), draw_figures(results, out)):
        written.append(Path(event.path))
        yield event
    absent = left_out(results)
    manifest = {**manifest_record(source, results), "left_out": absent}
    for name, reason in absent.items():
        yield Log("warning", f"{name} is not written: {reason}")
    made = [*page_sections(results, written), run_section(manifest)]
    write_export(out / PAGE, render(f"medvlm-tui report, run {source.run_id}", made))
    yield FileWritten(str(out / PAGE), "page")
    write_manifest(out / "manifest.json", manifest, [*written, out / PAGE])
    yield FileWritten(str(out / "manifest.json"), "manifest")


def page_sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the sections of the page that the stages give."""
    for module in _modules():
        if hasattr(module, "sections"):
            yield from cast(WithSections, module).sections(results, written)


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
