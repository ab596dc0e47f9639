"""The differences of two runs as text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from medvlm_tui.core.counts import counted
from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.results.naming import of_view
from medvlm_tui.report.two_runs.differences import Change, Differences
from medvlm_tui.report.two_runs.run_files import CellName

_VALUE_LETTERS = 60


def lines(found: Differences) -> Iterator[str]:
    """Yield settings, datasets and cells that differ, then a count of what is equal."""
    yield from _settings(found)
    for name in found.datasets:
        yield f"dataset {clean(name)}: the images or labels are not the same"
    yield from _alone("only in the first run", found.only_before)
    yield from _alone("only in the second run", found.only_after)
    moved = [change for change in found.changes if change.finding != "equal"]
    if moved:
        yield "scores in points, second run less first [95 % interval over the held-out images], p adjusted by Holm:"
    for cell, changes in groupby(moved, key=lambda change: change.cell):
        yield from _cell(cell, list(changes))
    yield _summary(found)


def _cell(cell: CellName, changes: Sequence[Change]) -> Iterator[str]:
    """Yield a heading and a line for each metric; a reason that all of them share stands in the heading."""
    reasons = {change.reason for change in changes}
    shared = reasons.pop() if len(reasons) == 1 else ""
    yield f"  {_name(cell)}{f': not tested, since {shared}' if shared else ''}"
    for change in changes:
        yield f"    {clean(change.metric):<20} {_difference(change, shared)}"


def _settings(found: Differences) -> Iterator[str]:
    if found.settings:
        yield "settings that differ:"
    for name, (before, after) in found.settings.items():
        yield f"  {clean(name)}: {_value(before)} -> {_value(after)}"


def _value(value: Any) -> str:
    text = clean("absent" if value is None else json.dumps(value, ensure_ascii=True))
    return text if len(text) <= _VALUE_LETTERS else f"{text[: _VALUE_LETTERS - 3]}..."


def _alone(title: str, cells: Sequence[CellName]) -> Iterator[str]:
    for cell in cells:
        yield f"{title}: {_name(cell)}"


def _name(cell: CellName) -> str:
    return clean(f"{cell.model} on {cell.dataset}{of_view(cell.label_view)}, {cell.protocol}, feature {cell.feature}")


def _difference(change: Change, shared_reason: str) -> str:
    moved = f"{100 * change.before.mean:5.1f} -> {100 * change.after.mean:5.1f}  {100 * change.difference:+7.2f}"
    if change.p_value is None or change.low is None or change.high is None:
        return moved if shared_reason else f"{moved}  not tested: {change.reason}"
    interval = f"[{100 * change.low:+.2f}, {100 * change.high:+.2f}]"
    return f"{moved} {interval}, p {change.p_value:.2g}: {change.finding}"


def _summary(found: Differences) -> str:
    numbers = Counter(change.finding for change in found.changes)
    parts = (f"{finding}: {numbers[finding]}" for finding in ("equal", "differs", "not told apart", "not tested"))
    return f"{counted(len(found.changes), 'score')} in both runs; {', '.join(parts)}"
