"""The findings of `doctor --json` as rows of a list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rich.text import Text

from medvlm_tui.core.safe_text import clean, clean_lines
from medvlm_tui.errors import MedvlmError
from medvlm_tui.tui.doctor.program import Ended
from medvlm_tui.tui.shared.rows import Row
from medvlm_tui.tui.states import GREY, letter

_LOOKS = {"ok": "done", "missing": "nothing", "failed": "failed"}
_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, with names that are safe to draw."""

    what: str
    state: str
    """ok, missing or failed."""
    detail: str
    fix: str
    """Several lines, or empty."""


def read_findings(ended: Ended) -> list[Finding]:
    """Return the findings, in the order of use; raises MedvlmError where the command did not end in order."""
    try:
        records = json.loads(ended.said)
        found = [_finding(each) for each in records]
    except (ValueError, TypeError, KeyError) as error:
        last = ended.complaint.strip().splitlines()[-1:] or [f"it ended with code {ended.code}"]
        raise MedvlmError(
            f"the doctor did not answer: {clean(last[0])}", "try it outside: medvlm-tui doctor"
        ) from error
    return sorted(found, key=_order)


def _finding(record: Mapping[str, str]) -> Finding:
    return Finding(clean(record["what"]), record["state"], clean(record["detail"]), clean_lines(record["fix"]))


def _order(found: Finding) -> tuple[bool, bool]:
    """The machine comes before the models, and models with weights before those without."""
    model = found.what.startswith("model ")
    return model, model and found.state == "missing"


def finding_rows(findings: Iterable[Finding]) -> list[Row]:
    """Return a row for each finding, named by its place in the list."""
    return [Row(str(number), _line(found)) for number, found in enumerate(findings)]


def _line(found: Finding) -> Callable[[int], Text]:
    def line(width: int) -> Text:
        what = Text(found.what)
        what.truncate(_WIDTH, overflow="ellipsis", pad=True)
        return Text.assemble(letter(_LOOKS.get(found.state, "nothing")), " ", what, " ", (found.detail, GREY))

    return line


def details(found: Finding) -> Iterator[Text]:
    """Yield what is said of a finding, its fix last."""
    yield Text(found.detail)
    if found.fix:
        yield Text("To mend it (y copies):", style=GREY)
        yield from (Text(line, style="bold") for line in found.fix.splitlines())
    elif found.state == "ok":
        yield Text("Nothing to do.", style=GREY)


def summary(findings: Iterable[Finding]) -> str:
    """Return the counts of all states in words."""
    states = [found.state for found in findings]
    return f"{states.count('ok')} fine, {states.count('missing')} missing, {states.count('failed')} failed"
