"""A process's log: what it says, what libraries print, tracebacks; no secrets, and never without end.

Several processes append to one file (a worker's descriptor stays open for hours), so a log is rotated by copying and
cutting it: every writer goes on at its end.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from medvlm_tui.core.atomic_files import open_own, replacing
from medvlm_tui.core.secrets import redact
from medvlm_tui.errors import StoreError

LOG_BYTES = 2_000_000
KEPT = 3


class LogFile(logging.FileHandler):
    """A log that follows no link, is its owner's alone, and is given up in silence where the disk refuses it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, delay=True)
        self.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s %(message)s"))

    def _open(self) -> io.TextIOWrapper:
        descriptor = open_own(Path(self.baseFilename), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        # Unbuffered: what a full disk refused would be written, and refused, once more at the end of the process.
        raw: Any = io.FileIO(descriptor, "ab")
        return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; the file is opened with the first one."""
        try:
            super().emit(record)
        except (OSError, StoreError):
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging names it)
        """Drop the record: what logging would print instead lands in the middle of a screen or of a table."""


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _RedactingText(io.TextIOWrapper):
    """A text stream over a descriptor; what is written loses its tokens."""

    def write(self, text: str, /) -> int:
        super().write(redact(text))
        self.flush()
        return len(text)


def log_to(path: Path) -> None:
    """Send warnings and tracebacks of this process to a file, never to the screen."""
    rotate(path)
    logging.basicConfig(handlers=[LogFile(path)], force=True)
    logging.captureWarnings(True)


def log_path() -> Path | None:
    """Return the file that this process logs to, None where it has none."""
    return next((Path(h.baseFilename) for h in logging.getLogger().handlers if isinstance(h, LogFile)), None)


def note_defect(path: Path, error: BaseException) -> None:
    """Append the traceback of an error that nobody expected, without secrets; raises OSError and StoreError."""
    with os.fdopen(open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "a", errors="backslashreplace") as file:
        file.write(redact("".join(traceback.format_exception(error))) + "\n")


def point_output_at(path: Path) -> None:
    """Point fd 1 and 2 at the log, so that no library can write over a screen or into a pipe; log there too.

    Raises OSError where the log cannot be written, StoreError where it is a link.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(descriptor, number)
    os.close(descriptor)
    sys.stdout, sys.stderr = (_text(number) for number in (1, 2))
    log_to(path)


def _text(descriptor: int) -> _RedactingText:
    raw = io.FileIO(descriptor, "wb", closefd=False)
    return _RedactingText(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", write_through=True)


def rotate(path: Path, most_bytes: int = LOG_BYTES, kept: int = KEPT) -> None:
    """Keep a log's last `kept` parts of `most_bytes` beside it; does nothing while it is short."""
    try:
        if path.stat().st_size <= most_bytes:
            return
        with os.fdopen(open_own(path, os.O_RDWR), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _shift(path, kept)
            with replacing(path.with_name(f"{path.name}.1")) as older:
                shutil.copyfileobj(file, older)
            file.truncate(0)
    except (OSError, StoreError):
        return  # another process rotates it, or there is none; a log is not worth an error


def _shift(path: Path, kept: int) -> None:
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
