"""The check of a dataset as lines: counts against the catalog, groups, the split as bars, and what was found."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

from rich.text import Text

from medvlm_tui.core.intensity_windows import one_level_note
from medvlm_tui.core.safe_text import clean
from medvlm_tui.stages.records.check import (
    AuditReport,
    CheckRecord,
    DuplicateSet,
    GroupLeak,
    Groups,
    SplitPlan,
    SplitRow,
    Unreadable,
)
from medvlm_tui.tui.shared.rows import Row, plain
from medvlm_tui.tui.state.survey_rows import DatasetRow
from medvlm_tui.tui.states import GREEN, GREY, ORANGE, RED, SKY, YELLOW

SET = "set:"
"""Begins the id of a row of duplicates; the position in the stored `worst` follows."""
_MOST_NAMES = 200
_FOLD_STYLES = (SKY, GREEN)
_MARKS = {"exact": "=", "near": "≈", "features": "~"}
_BAR_CELLS = 12
_LABEL_CELLS = 24


def report_rows(record: CheckRecord, width: int) -> list[Row]:
    """Return lines of a stored check (`engine/datasets/check/step.py`); headings and duplicates carry the cursor."""
    report = record.report
    rows = [_stop(Text(f"{report.images:,} images in {clean(report.root)}"))]
    rows += map(plain, _counts(report))
    rows += map(plain, _sentences(report.differences, width, "! ", YELLOW))
    rows += map(plain, _sentences(report.notes, width, "", GREY))
    rows += map(plain, _sentences(_flat(report), width, "! ", YELLOW))
    rows.append(_stop(_groups(report.groups)))
    for split in report.splits:
        rows += [_stop(_heading(_split_title(split)))]
        rows += map(plain, _sentences([split.problem] if split.problem else [], width, "! ", RED))
        rows += [Row("", partial(_split_line, row)) for row in split.rows]
    rows += _unreadable(report.unreadable, width)
    rows += _leaks(report.group_leaks)
    rows += _duplicates(record, report)
    return rows


def unchecked_rows(row: DatasetRow, width: int) -> list[Row]:
    """Return what is known of a dataset without a check: how to get it, or that `enter` checks it."""
    if row.state != "data_missing":
        lines = [Text(f"{row.images:,} images of {len(row.classes)} classes; not checked yet.")]
        lines += _sentences([row.root] if row.root else [], width, "", GREY)
        lines.append(Text("r reads every image once: counts, unreadable files, duplicates, groups, the split"))
        lines += _sentences(row.warnings, width, "! ", YELLOW)
    else:
        lines = _absent(row, width)
    facts = (("from", row.homepage), ("how", row.how_to_get), ("licence", row.licence), ("size", row.size))
    if known := [f"{name}: {text}" for name, text in facts if text]:
        lines += [Text(), _heading("How to get it")]
        lines += [Text(line) for each in known for line in textwrap.wrap(each, max(20, width), subsequent_indent="  ")]
    if row.layout:
        lines += [Text(), _heading("Expected below the folder"), *(Text(line) for line in row.layout.splitlines())]
    return [plain(line) for line in lines]


def _absent(row: DatasetRow, width: int) -> list[Text]:
    """Return why a dataset is not here, or why what is here cannot be read, and what to do."""
    told = [f"{row.root} cannot be read" if row.root else "not on this machine"]
    told += row.problem.splitlines() if row.root else []
    lines = _sentences(told, width, "", YELLOW)
    return lines + [Text(line) for hint in row.hint.splitlines() for line in textwrap.wrap(hint, max(20, width))]


def set_names(found: DuplicateSet) -> Text:
    """Return the images of a set with their mark, names made safe."""
    names = "  ".join(clean(str(name)) for name in found.images[:_MOST_NAMES])
    return Text.assemble(set_mark(found), f" {names}")


def set_mark(found: DuplicateSet) -> Text:
    """Return how a set was found, and what it crosses."""
    flags = [
        (f" {word}", style)
        for word, values, style in (("classes", found.labels, RED), ("parts", found.parts, YELLOW))
        if len(values) > 1
    ]
    return Text.assemble((_MARKS[found.kind], "bold"), *flags)


def _stop(text: Text) -> Row:
    """Return a row where the cursor stops on its way, so that all of a report can be reached."""
    return Row(f"at:{text.plain}", partial(_fixed, text))


def _heading(text: str) -> Text:
    return Text(text, style=f"bold {GREY}")


def _sentences(sentences: Sequence[str], width: int, mark: str, style: str) -> list[Text]:
    return [
        Text(line, style=style)
        for sentence in sentences
        for line in textwrap.wrap(clean(str(sentence)), max(20, width), initial_indent=mark, subsequent_indent="  ")
    ]


def _flat(report: AuditReport) -> list[str]:
    """Return a sentence on images that show nothing; reports of older releases do not say."""
    return [one_level_note(report.flat, report.images, report.window)] if report.flat else []


def _counts(report: AuditReport) -> Iterator[Text]:
    """Yield one line per class and part: how many images there are, of how many, and a bar where the catalog knows."""
    parts = {clean(row.part) for row in report.counts}
    part_cells = max(map(len, parts), default=0) + 1 if len(parts) > 1 else 0
    longest = max((len(clean(row.label)) for row in report.counts), default=0)
    for row in report.counts:
        name = clean(row.label) or "(no label)"
        part = f"{clean(row.part):<{part_cells}}" if part_cells else ""
        expected = row.expected
        line = Text.assemble(
            (f"  {part}", GREY), f"{_cut(name, min(_LABEL_CELLS, max(12, longest + 1)))}{row.images:>7,}"
        )
        if expected is not None:
            same = expected == row.images
            line.append(f" of {expected:,} ", style=GREY)
            line.append("✓" if same else _bar(row.images, expected), style=GREEN if same else YELLOW)
        yield line


def _bar(images: int, expected: int) -> str:
    full = min(_BAR_CELLS, _BAR_CELLS * images // max(1, expected))
    return "█" * full + "░" * (_BAR_CELLS - full) + (" too many" if images > expected else "")


def _cut(name: str, cells: int = _LABEL_CELLS) -> str:
    return f"{name if len(name) < cells else name[: cells - 2] + '…':<{cells}}"


def _groups(groups: Groups) -> Text:
    told = f"{groups.groups:,}, largest {groups.largest:,} images, {groups.alone:,} alone"
    return Text.assemble((f"Groups ({clean(groups.key)})", f"bold {GREY}"), f"  {told}")


def _split_title(split: SplitPlan) -> str:
    what = f"hold-out {split.hold_out:g}, {split.folds} folds, seed {split.seed}"
    return f"Split by {split.by}: {what} (t: held out)"


def _split_line(row: SplitRow, width: int) -> Text:
    """Return a class as a bar: `t` for what is held out, then each fold's number, as long as its share."""
    parts = [row.held_out, *row.folds]
    numbers = f"{sum(parts):>7,} "
    name = f"  {_cut(clean(row.label))}{numbers}"
    room = max(len(parts), width - len(name))
    text = Text(name)
    for number, cells in enumerate(_shares(parts, room)):
        style = ORANGE if number == 0 else _FOLD_STYLES[number % 2]
        text.append(("t" if number == 0 else str(number % 10)) * cells, style=style)
    return text


def _shares(parts: Sequence[int], room: int) -> list[int]:
    """Divide `room` cells in proportion, by the borders of the running sum."""
    total = sum(parts) or 1
    borders = [round(room * sum(parts[:i]) / total) for i in range(len(parts) + 1)]
    return [after - before for before, after in pairwise(borders)]


def _unreadable(found: Sequence[Unreadable], width: int) -> list[Row]:
    rows = [_stop(_heading(f"Unreadable files: {len(found):,}"))]
    sentences = [f"{one.image}: {one.reason}" for one in found[:_MOST_NAMES]]
    return rows + [plain(line) for line in _sentences(sentences, width, "! ", RED)]


def _leaks(found: Sequence[GroupLeak]) -> list[Row]:
    if not found:
        return []
    rows = [_stop(_heading(f"Groups in several parts: {len(found):,}"))]
    for one in found[:_MOST_NAMES]:
        parts = ", ".join(clean(str(part)) for part in one.parts)
        rows.append(plain(Text(f"  {clean(one.group)}: {one.images:,} images in {parts}", style=YELLOW)))
    return rows


def _duplicates(record: CheckRecord, report: AuditReport) -> list[Row]:
    model = clean(report.features_of) or "no model's yet"
    told = (
        f"Duplicates: {len(report.exact):,} exact (=), {len(report.near):,} near (≈), "
        f"{len(report.similar):,} by features (~, {model})"
    )
    rows = [_stop(_heading(told))]
    for position, found in enumerate(record.worst):
        rows.append(Row(f"{SET}{position}", partial(_fixed, set_names(found))))
    return rows


def _fixed(text: Text, _width: int) -> Text:
    return text
