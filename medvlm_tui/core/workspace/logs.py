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
from pathlib import Path

from medvlm_tui.core.secrets import redact

LOG_BYTES = 2_000_000
KEPT = 3


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
    handler = logging.FileHandler(path, delay=True)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(True)


def point_output_at(path: Path) -> None:
    """Point fd 1 and 2 at the log, so that no library can write over a screen or into a pipe; log there too."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
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
        with open(path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _shift(path, kept)
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            file.truncate(0)
    except OSError:
        return  # another process rotates it, or there is none; a log is not worth an error


def _shift(path: Path, kept: int) -> None:
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
