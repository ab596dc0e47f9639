"""`medvlm-tui check DATASET`: what the audit of a dataset found, as text or JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medvlm_tui.core.counts import counted
from medvlm_tui.core.intensity_windows import one_level_note
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.latest_results import LatestResults
from medvlm_tui.core.workspace.logs import log_to
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.planner import Prepared, prepare
from medvlm_tui.engine.step.job import CheckJob
from medvlm_tui.errors import ExitCode, MissingInputError
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages import VERSIONS
from medvlm_tui.stages.check import CHECK
from medvlm_tui.stages.records.check import AuditReport, CountRow, DuplicateSet, SplitPlan
from medvlm_tui.stages.request import RunRequest

_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "id", metavar="DATASET", help="dataset id of the catalog, or a name given with --data NAME=PATH"
    )
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Audit the dataset and print the report; returns 0 only when counts and files are as the catalog says.

    The report is kept in the workspace's store, where the screens find it and an unchanged dataset is looked up.
    """
    workspace = Workspace(configuration.workspace)
    workspace.make()
    log_to(workspace.logs / "commands.log")
    asked = replace(request, datasets=(options.id,), stages=("check",))
    with Store(workspace.store) as store:
        job = _job(prepare(asked, workspace, store, ""))
        report = replace(_report(job, store), root=str(job.everything.root))
        LatestResults(workspace.root / "latest.json", VERSIONS).note("check", job.study.digest, job.step.key)
    if options.json:
        print(json.dumps(report.to_record(), indent=2, ensure_ascii=True))
    else:
        print("\n".join(clean(line) for line in lines(report)))
    return int(ExitCode.OK if report.matches else ExitCode.MISSING_INPUT)


def _job(prepared: Prepared) -> CheckJob:
    for job in prepared.jobs.values():
        if isinstance(job, CheckJob):
            return job
    message, _, hint = prepared.plan.steps[0].blocked.partition("\n")
    raise MissingInputError(message, hint)


def _report(job: CheckJob, store: Store) -> AuditReport:
    known = store.read_record(job.step.key, CHECK.record)
    if known is not None:
        return known.report
    from medvlm_tui.engine.datasets.check.step import checked
    from medvlm_tui.engine.datasets.splits.groups import finished

    total = len(job.everything.samples)
    return finished(checked(job, store), lambda done: _progress(done, total)).report


def lines(report: AuditReport) -> Iterator[str]:
    """Yield the report as plain text, one finding per line."""
    took = f", read in {report.seconds:.1f} s" if report.seconds else ""
    yield f"{report.dataset}: {counted(report.images, 'image')} in {report.root}{took}"
    yield from _table(report.counts)
    catalogued = any(row.expected is not None for row in report.counts)
    if not report.differences:
        yield "counts: as the catalog says" if catalogued else "counts: as found, the catalog has none to compare with"
    else:
        yield "counts differ from the catalog:" if catalogued else "to be looked at:"
    yield from (f"  {difference}" for difference in report.differences)
    yield from (f"note: {note}" for note in report.notes)
    yield f"unreadable files: {len(report.unreadable):,}"
    yield from _some([f"  {found.image}: {found.reason}" for found in report.unreadable])
    if flat := report.flat:
        yield one_level_note(flat, report.images, report.window)
    yield from _duplicates("exact duplicates (equal pixels)", report.exact)
    yield from _duplicates("near duplicates (perceptual hash)", report.near)
    if report.features_of:
        yield from _duplicates(f"to be looked at (features of {report.features_of})", report.similar)
    yield f"groups in several parts: {len(report.group_leaks):,}"
    yield from _some([f"  {g.group}: {counted(g.images, 'image')} in {', '.join(g.parts)}" for g in report.group_leaks])
    groups = report.groups
    sizes = f"the largest of {counted(groups.largest, 'image')}, {counted(groups.alone, 'image')} alone"
    yield f"groups ({groups.key}): {groups.groups:,}, {sizes}"
    yield from _splits(report.splits)
    if report.crossing or report.conflicts:
        yield "a random hold-out leaks through duplicates: compare with a split by group"


def _table(counts: Sequence[CountRow]) -> list[str]:
    """Return one line per class with one column per part, each with the catalog's number where it differs."""
    parts = sorted({row.part for row in counts})
    labels = list(dict.fromkeys(row.label for row in counts))
    cells = {(row.part, row.label): _count(row) for row in counts}
    totals = [f"{sum(row.images for row in counts if row.part == part):,}" for part in parts]
    rows = [("", *(part or "images" for part in parts))]
    rows += [(label or "(no label)", *(cells.get((part, label), "0") for part in parts)) for label in labels]
    rows.append(("all", *totals))
    widths = [max(len(row[i]) for row in rows) for i in range(len(parts) + 1)]
    return [
        "  "
        + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _count(row: CountRow) -> str:
    differs = row.expected is not None and row.expected != row.images
    return f"{row.images:,}" + (f" of {row.expected:,}" if differs else "")


def _splits(plans: Sequence[SplitPlan]) -> Iterator[str]:
    for plan in plans:
        what = f"split by {plan.by} (hold-out {plan.hold_out:g}, {plan.folds} folds, seed {plan.seed})"
        if plan.problem:
            yield f"{what}: {plan.problem}"
            continue
        held = sum(row.held_out for row in plan.rows)
        folds = [sum(row.folds[k] for row in plan.rows) for k in range(plan.folds)]
        yield f"{what}: {held:,} held out, folds of {', '.join(f'{n:,}' for n in folds)}"
        for row in plan.rows:
            yield f"  {row.label}: {row.held_out:,} held out, {', '.join(f'{n:,}' for n in row.folds)}"


def _duplicates(what: str, sets: Sequence[DuplicateSet]) -> Iterator[str]:
    parts = sum(len(found.parts) > 1 for found in sets)
    labels = sum(len(found.labels) > 1 for found in sets)
    extra = sum(len(found.images) - 1 for found in sets)
    across = f"{parts:,} across parts, {labels:,} across classes"
    yield f"{what}: {counted(len(sets), 'set')}, {counted(extra, 'image')} too many, {across}"
    worst = sorted(sets, key=lambda found: found.gravity)
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
