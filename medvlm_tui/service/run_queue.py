"""The runs that wait for the one under way: a file of the workspace, so that they outlive screens and engine."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medvlm_tui.core.atomic_files import write_atomic
from medvlm_tui.core.events import QueueChanged
from medvlm_tui.core.secrets import redact
from medvlm_tui.errors import StoreError, UsageError

FILE = "queue.json"
MOST = 50
"""Runs that may wait."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One run that waits."""

    id: str
    request: Mapping[str, Any]
    """`RunRequest.to_record()`."""
    asked: float
    """Seconds since the epoch."""


class RunQueue:
    """Runs in their order; every change is on disk before it is told."""

    def __init__(self, directory: Path) -> None:
        """Read what an earlier engine left; its runs wait until somebody says that they may go on."""
        self._path = directory / FILE
        self.waiting = _read(self._path)
        self.paused = bool(self.waiting)

    def told(self) -> QueueChanged:
        """Return the event that says how the queue stands."""
        return QueueChanged(tuple(asdict(one) for one in self.waiting), self.paused)

    def add(self, request: Mapping[str, Any]) -> None:
        """Put a run at the end; raises UsageError when too many wait, StoreError when the disk refuses."""
        if len(self.waiting) >= MOST:
            raise UsageError(f"{MOST} runs wait already", "drop one, or wait until one has ended")
        self._keep([*self.waiting, Waiting(secrets.token_hex(4), dict(request), round(time.time(), 3))])

    def take(self) -> Waiting | None:
        """Return the run whose turn it is and forget it; None while the queue is empty or paused."""
        if self.paused or not self.waiting:
            return None
        first = self.waiting[0]
        self._keep(self.waiting[1:])
        return first

    def drop(self, name: str) -> None:
        """Forget a run; one that has started meanwhile is not here any more."""
        self._keep([one for one in self.waiting if one.id != name])

    def move(self, name: str, step: int) -> None:
        """Put a run `step` places later, earlier where it is negative."""
        ids = [one.id for one in self.waiting]
        if name in ids:
            rest, at = [one for one in self.waiting if one.id != name], ids.index(name)
            place = max(0, min(len(rest), at + step))
            self._keep([*rest[:place], self.waiting[at], *rest[place:]])

    def _keep(self, waiting: list[Waiting]) -> None:
        text = redact(json.dumps([asdict(one) for one in waiting], ensure_ascii=True, default=str))
        try:
            write_atomic(self._path, text.encode())
        except OSError as error:
            raise StoreError(
                f"{self._path}: {error.strerror or error}", "free some space, or check its rights"
            ) from error
        self.waiting = waiting


def _read(path: Path) -> list[Waiting]:
    """Return the runs of a queue's file; what cannot be read is none."""
    try:
        found = json.loads(path.read_bytes())
        return [Waiting(str(one["id"]), dict(one["request"]), float(one["asked"])) for one in found][:MOST]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
