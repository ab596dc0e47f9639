"""The data check on the page: counts beside the catalog's, unreadable files, images that show the same picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medvlm_tui.core.counts import counted
from medvlm_tui.core.store.store import StoredResult
from medvlm_tui.report.formats.table import Table, numbers, texts
from medvlm_tui.report.page.blocks import CHECK, Block, Caution, Gallery, Paragraph, Section, Subtitle
from medvlm_tui.report.results.naming import dataset_title, file_stem
from medvlm_tui.report.results.run_results import Gathered

COUNTS = (*texts("part", "class"), *numbers("images", "expected"))
DUPLICATES = (*texts("found by", "images", "classes", "parts"), *numbers("correlation"))
UNREADABLE = texts("image", "reason")


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of the data check where the run has one."""
    source, blocks = results.source, []
    for step in source.plan.steps:
        found = source.store.result(step.key) if step.kind == "check" and step.key else None
        if found is not None and step.dataset in source.datasets:
            blocks += list(_dataset(dataset_title(source.datasets[step.dataset]), step.dataset, found))
    if blocks:
        yield Section("check", "Data check", CHECK, tuple(blocks))


def _dataset(title: str, name: str, found: StoredResult) -> Iterator[Block]:
    report = found.record["report"]
    state = "as the catalog says" if report["matches"] else "not as the catalog says"
    yield Subtitle(title)
    yield Paragraph(f"{counted(report['images'], 'image')}, {state}.")
    yield from map(Caution, report["differences"])
    yield from map(Paragraph, report.get("notes", ()))
    yield Table(file_stem("counts", name), COUNTS, _counts(report), "Images of each class")
    leaks = len(report.get("group_leaks", ()))
    if leaks:
        yield Caution(
            f"{counted(leaks, 'patient, slide or lesion', 'patients, slides or lesions')} with images in several parts."
        )
    for table in (_duplicates(name, report), _unreadable(name, report)):
        if table.rows:
            yield table
    pictures = [
        (pixels[:height, :width], str(image))
        for pixels, (height, width), (_, image) in zip(
            found.arrays["pictures"], found.arrays["sizes"].tolist(), found.record["pictures"], strict=True
        )
    ]
    if pictures:
        yield Gallery(pictures, "Images of the sets that matter most")


def _counts(report: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(row["part"], row["label"], row["images"], row["expected"]) for row in report["counts"]]


def _duplicates(name: str, report: Mapping[str, Any]) -> Table:
    ways = {"exact": "equal pixels", "near": "perceptual hash", "features": "features (look at them)"}
    rows = [
        (ways[one["kind"]], ", ".join(one["images"]), ", ".join(one["labels"]), ", ".join(one["parts"]), correlation)
        for one in (*report["exact"], *report["near"], *report.get("similar", ()))
        for correlation in (one["correlation"],)
    ]
    rows.sort(key=lambda row: -row[2].count(", "))
    return Table(file_stem("duplicates", name), DUPLICATES, rows, "Images that show the same picture, or may show it")


def _unreadable(name: str, report: Mapping[str, Any]) -> Table:
    rows = [(one["image"], one["reason"]) for one in report["unreadable"]]
    return Table(file_stem("unreadable", name), UNREADABLE, rows, "Files that give no image")
