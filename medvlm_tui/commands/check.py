"""`medvlm-tui check DATASET`: what the audit of a dataset found, as text or JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.params import RunRequest
from medvlm_tui.core.text import clean
from medvlm_tui.core.workspace import Workspace
from medvlm_tui.engine.datasets.audit import AuditReport, DuplicateSet, audit
from medvlm_tui.engine.datasets.resolve import resolve_dataset
from medvlm_tui.errors import ExitCode
from medvlm_tui.settings import Settings

_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("id", metavar="DATASET", help="an id of the catalog, or a name given by --data NAME=PATH")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Audit the dataset and print the report; returns 0 only when counts and files are as the catalog says."""
    spec = resolve_dataset(options.id, request.data, load_datasets())
    digests = FileDigests(Workspace(configuration.workspace).store / "file_digests.json")
    report = audit(spec, digests=digests, workers=request.workers or 2, progress=_progress)
    if options.json:
        print(json.dumps(report.to_record(), indent=2, ensure_ascii=True))
    else:
        print("\n".join(clean(line) for line in lines(report)))
    return int(ExitCode.OK if report.matches else ExitCode.MISSING_INPUT)


def lines(report: AuditReport) -> Iterator[str]:
    """Yield the report as plain text, a finding a line."""
    yield f"{report.dataset}: {report.images:,} images in {report.root}, read in {report.seconds:.1f} s"
    width = max(len(row.label) for row in report.counts)
    for row in report.counts:
        yield f"  {row.part + ': ' if row.part else ''}{row.label:{width}}  {row.images:>7,}"
    yield "counts: as the catalog says" if not report.differences else "counts differ from the catalog:"
    yield from (f"  {difference}" for difference in report.differences)
    yield f"unreadable files: {len(report.unreadable):,}"
    yield from _some([f"  {found.image}: {found.reason}" for found in report.unreadable])
    yield from _duplicates("exact duplicates (equal pixels)", report.exact)
    yield from _duplicates("near duplicates (perceptual hash)", report.near)
    yield f"groups in several parts: {len(report.group_leaks):,}"
    yield from _some([f"  {g.group}: {g.images} images in {', '.join(g.parts)}" for g in report.group_leaks])
    if report.crossing or report.conflicts:
        yield "a random hold-out leaks through duplicates: compare with a split by group"


def _duplicates(what: str, sets: Sequence[DuplicateSet]) -> Iterator[str]:
    parts = sum(len(found.parts) > 1 for found in sets)
    labels = sum(len(found.labels) > 1 for found in sets)
    extra = sum(len(found.images) - 1 for found in sets)
    yield f"{what}: {len(sets):,} sets, {extra:,} images too many, {parts:,} across parts, {labels:,} across classes"
    worst = sorted(sets, key=lambda found: (-len(found.labels), -len(found.parts), found.images))
    yield from _some([f"  {_marks(found)}{' = '.join(found.images)}" for found in worst])


def _marks(found: DuplicateSet) -> str:
    marks = [name for name, values in (("CLASSES", found.labels), ("PARTS", found.parts)) if len(values) > 1]
    return f"[{', '.join(marks)}] " if marks else ""


def _some(listed: Sequence[str]) -> list[str]:
    more = len(listed) - _SHOWN
    return [*listed[:_SHOWN], *([f"  and {more:,} more (all with --json)"] if more > 0 else [])]


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done:,} of {total:,} images", end="\n" if done == total else "", file=sys.stderr, flush=True)
