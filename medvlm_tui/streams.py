"""Standard input, output and error as other programs leave them: closed, full, without a reader, of an old encoding."""

from __future__ import annotations

import codecs
import io
import os
import select
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

from medvlm_tui.errors import UsageError

STDOUT, STDERR = "standard output", "standard error"
# What is printed beside names; anything else that an encoding lacks is written out (\u2502).
_PLAIN: Mapping[str, str] = {
    "±": "+-", "→": "->", "←": "<-", "–": "-", "—": "-", "×": "x", "·": ".", "…": "...", "≥": ">=", "≤": "<=",
    "●": "o", "○": "o", "•": "*", "✓": "ok", "─": "-", "━": "-", "═": "-", "│": "|", "┃": "|", "║": "|",
    **{chr(code): "+" for code in range(0x250C, 0x254C)}, **{chr(code): "#" for code in range(0x2580, 0x25A0)},
}  # fmt: skip
_ERRORS = "medvlm-plain"


def prepare() -> None:
    """Make the three streams safe to use; called once, before anything is opened or printed."""
    for number in range(3):
        _open_if_closed(number)
    codecs.register_error(_ERRORS, _plain)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 (lives as long as the process)
    # Under a test's capture they are somebody else's streams.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(1, STDOUT, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(2, STDERR, sys.stderr)


def finish() -> None:
    """Write what is still buffered, so that a refusal becomes an error with a message; raises OSError."""
    sys.stdout.flush()


def drop_unwritten() -> None:
    """Prevent that Python writes refused output again when the process ends."""
    try:
        sys.stdout.flush()
    except OSError:
        to_nowhere(1)


def can_draw() -> bool:
    """Return whether the screens can be shown: all three streams are a terminal that accepts UTF-8, or a browser."""
    return is_served() or (all(map(os.isatty, range(3))) and _encoding() == "utf-8")


def is_served() -> bool:
    """Return whether `--serve` has started this process: the browser is at the other end of its streams."""
    return "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")


def refuse_without_terminal() -> None:
    """Raise UsageError where the screens cannot be shown."""
    if can_draw():
        return
    if not all(map(os.isatty, range(3))):
        raise UsageError(
            "the screens need a terminal", "use `medvlm-tui --batch ...` where there is none, `ssh -t` over SSH"
        )
    raise UsageError(
        f"the screens need UTF-8, this terminal's encoding is {_encoding()}",
        "export LC_ALL=C.UTF-8 (and unset PYTHONIOENCODING), or use `medvlm-tui --batch ...`",
    )


def _encoding() -> str:
    return codecs.lookup(sys.stdout.encoding or "ascii").name


def messages_are_read() -> bool:
    """Return whether standard error still has a reader."""
    return not getattr(getattr(getattr(sys.stderr, "buffer", None), "raw", None), "lost", False) and has_reader(2)


def to_nowhere(number: int) -> None:
    """Redirect a descriptor to the null device, so that later output is discarded."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def has_reader(number: int) -> bool:
    """Return whether a descriptor still has a reader; always True where it is neither a pipe nor a socket."""
    mode = os.fstat(number).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return True
    poll = select.poll()
    poll.register(number, 0)
    return not any(found & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, found in poll.poll(0))


class _Output(io.FileIO):
    """Standard output: an error of it names it as its file."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STDOUT
            raise


class _Messages(io.FileIO):
    """Standard error: progress and messages, of which a reader that has gone, or a full disk, misses the rest."""

    lost = False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            self.lost = True
            to_nowhere(2)
            return len(data)


def _stream(number: int, name: str, before: TextIO | None) -> TextIO:
    raw = (_Output if name == STDOUT else _Messages)(number, "wb", closefd=False)
    encoding = getattr(before, "encoding", None) or "utf-8"
    by_line = name == STDERR or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=_ERRORS, line_buffering=by_line)


def _open_if_closed(number: int) -> None:
    """Open the null device in the place of a closed descriptor, which the next file would be given otherwise."""
    try:
        os.fstat(number)
    except OSError:
        with suppress(OSError):
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.dup2(found, number)
                os.close(found)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that the encoding lacks (a handler of `codecs.register_error`)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    shown = (_PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in text)
    return "".join(shown), error.end
