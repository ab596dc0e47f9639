"""The runs of a workspace: each one's events.jsonl, written while it happens and read by who comes later."""

from __future__ import annotations

import errno
import os
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from medvlm_tui.core.atomic_files import open_own
from medvlm_tui.core.events import Event, from_json, to_json
from medvlm_tui.core.secrets import redact
from medvlm_tui.errors import StoreError

FILE = "events.jsonl"
# Number of progress events that a screen draws: the rate of the last moments, not of ten hours.
PROGRESS_KEPT = 60
_PROGRESS = re.compile(r'\{"type": "StepProgress", .*?"step": ("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True, slots=True)
class Said:
    """An event as it stands in a run's file."""

    run_id: str
    number: int
    """Of its line, from 0."""
    event: Event
    line: str


class RunFile:
    """The file of a run under way; one writer."""

    def __init__(self, directory: Path) -> None:
        """Make the run's directory; raises StoreError when the disk refuses."""
        self.run_id = directory.name
        self.path = directory / FILE
        self._count = 0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = open_own(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            self._size_bytes = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise _refused(self.path, error) from error

    def append(self, event: Event) -> Said:
        """Stamp, strip of secrets and write an event; raises StoreError when the disk refuses."""
        event = replace(event, at=round(time.time(), 3))
        line = to_json(event)
        if (safe := redact(line)) != line:
            event, line = from_json(safe), safe
        self._write(line.encode("ascii") + b"\n")
        said = Said(self.run_id, self._count, event, line)
        self._count += 1
        return said

    def _write(self, data: bytes) -> None:
        """Append `data` whole or not at all: half a line would spoil the next one."""
        written = 0
        try:
            # Not through a buffer: what a full disk refused would be written once more when the file is closed.
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size_bytes)
            raise _refused(self.path, error) from error
        self._size_bytes += len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def _refused(path: Path, error: OSError) -> StoreError:
    hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another --workspace"
    return StoreError(f"{path}: {error.strerror}", f"{hint}; then run the same command again: it goes on from there")


def last_run(runs: Path) -> Path | None:
    """Return the events.jsonl of the run that was written to last, None without one."""
    found = [(file.stat().st_mtime_ns, file) for file in runs.glob(f"*/{FILE}")]
    return max(found)[1] if found else None


def whole_lines(path: Path, start: int = 0) -> tuple[list[str], int]:
    """Return the whole lines from byte `start` on and where they end; a line that is being written is not one."""
    with open(path, "rb") as file:
        file.seek(start)
        data = file.read()
    end = data.rfind(b"\n") + 1
    # A damaged byte is written out, so that a line stays ASCII and stays one line.
    return data[:end].decode("ascii", "backslashreplace").split("\n")[:-1], start + end


def without_old_progress(lines: list[str]) -> Iterator[str]:
    """Yield the lines that still say something: of each step's progress only the last moments."""
    kept: dict[str, deque[int]] = {}
    progress: set[int] = set()
    for number, line in enumerate(lines):
        if (match := _PROGRESS.match(line)) is not None:
            progress.add(number)
            kept.setdefault(match[1], deque(maxlen=PROGRESS_KEPT)).append(number)
    worth = {number for numbers in kept.values() for number in numbers}
    yield from (line for number, line in enumerate(lines) if number not in progress or number in worth)
