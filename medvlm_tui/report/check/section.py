"""The data check on the page: counts beside the catalog's, unreadable files, images that show the same picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medvlm_tui.core.counts import counted
from medvlm_tui.core.store.store import Stored
from medvlm_tui.report.formats.table import Table, numbers, texts
from medvlm_tui.report.page.blocks import CHECK, Block, Caution, Gallery, Paragraph, Section, Subtitle
from medvlm_tui.report.results.naming import dataset_title, file_stem
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.stages.check import CHECK as STAGE
from medvlm_tui.stages.records.check import AuditReport, CheckRecord

COUNTS = (*texts("part", "class"), *numbers("images", "expected"))
DUPLICATES = (*texts("found by", "images", "classes", "parts"), *numbers("correlation"))
UNREADABLE = texts("image", "reason")


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of the data check where the run has one."""
    source, blocks = results.source, []
    for step, found in source.stored(STAGE):
        blocks += list(_dataset(dataset_title(source.datasets[step.dataset]), step.dataset, found))
    if blocks:
        yield Section("check", "Data check", CHECK, tuple(blocks))


def _dataset(title: str, name: str, found: Stored[CheckRecord]) -> Iterator[Block]:
    report = found.record.report
    state = "as the catalog says" if report.matches else "not as the catalog says"
    yield Subtitle(title)
    yield Paragraph(f"{counted(report.images, 'image')}, {state}.")
    yield from map(Caution, report.differences)
    yield from map(Paragraph, report.notes)
    yield Table(file_stem("counts", name), COUNTS, _counts(report), "Images of each class")
    leaks = len(report.group_leaks)
    if leaks:
        yield Caution(
            f"{counted(leaks, 'patient, slide or lesion', 'patients, slides or lesions')} with images in several parts."
        )
    for table in (_duplicates(name, report), _unreadable(name, report)):
        if table.rows:
            yield table
    pictures = [
        (pixels[:height, :width], image)
        for pixels, (height, width), (_, image) in zip(
            found.arrays["pictures"], found.arrays["sizes"].tolist(), found.record.pictures, strict=True
        )
    ]
    if pictures:
        yield Gallery(pictures, "Images of the sets that matter most")


def _counts(report: AuditReport) -> list[tuple[Any, ...]]:
    return [(row.part, row.label, row.images, row.expected) for row in report.counts]


def _duplicates(name: str, report: AuditReport) -> Table:
    ways = {"exact": "equal pixels", "near": "perceptual hash", "features": "features (look at them)"}
    rows = [
        (ways[one.kind], ", ".join(one.images), ", ".join(one.labels), ", ".join(one.parts), one.correlation)
        for one in sorted((*report.exact, *report.near, *report.similar), key=lambda one: -len(one.labels))
    ]
    return Table(file_stem("duplicates", name), DUPLICATES, rows, "Images that show the same picture, or may show it")


def _unreadable(name: str, report: AuditReport) -> Table:
    rows = [(one.image, one.reason) for one in report.unreadable]
    return Table(file_stem("unreadable", name), UNREADABLE, rows, "Files that give no image")
