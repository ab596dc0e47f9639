"""The fate of a checkpoint's tensors: used, passed over, absent. Filled while a family loads one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from medvlm_tui.core.counts import counted


@dataclass(slots=True)
class LoadReport:
    """Names as the checkpoint has them."""

    held: set[str] = field(default_factory=set)
    """Every tensor that it names."""
    used: set[str] = field(default_factory=set)
    absent: list[str] = field(default_factory=list)
    """Names inside the network that the checkpoint lacks, and that no feature depends on."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the user on choices that were made, each once."""
    draft: bool = False
    """True where names and shapes alone are compared: no tensor is read then."""
    untrained: bool = False
    """True where the network keeps the values it was built with: names and shapes are compared, no tensor is read."""
    kept: int = 0
    """Number of these values that were compared so."""

    def say(self, note: str) -> None:
        """Add a note, unless it is empty or there."""
        if note and note not in self.notes:
            self.notes.append(note)

    @property
    def skipped(self) -> set[str]:
        """Return tensors of the checkpoint that the network lacks: text towers, language models, optimisers."""
        return self.held - self.used

    def record(self) -> dict[str, int]:
        """Return the counts, for a record of where features come from."""
        return {"used": len(self.used), "skipped": len(self.skipped), "absent": len(self.absent)}

    def __str__(self) -> str:
        absent = f", {len(self.absent)} absent and not needed" if self.absent else ""
        counts = f"{counted(len(self.used), 'tensor')} used, {len(self.skipped)} passed over{absent}"
        return "; ".join([counts, *self.notes])


_current: ContextVar[LoadReport | None] = ContextVar("load_report", default=None)


@contextmanager
def reporting(draft: bool = False, untrained: bool = False) -> Iterator[LoadReport]:
    """Collect what is read within the block; of a draft and of an untrained network nothing is."""
    report = LoadReport(draft=draft, untrained=untrained)
    token = _current.set(report)
    try:
        yield report
    finally:
        _current.reset(token)


def current() -> LoadReport:
    """Return the report of the load that is going on, or one that nobody looks at."""
    return _current.get() or LoadReport()
