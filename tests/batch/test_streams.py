"""Standard streams that are closed, full, without a reader, of an old encoding: a sentence and the right exit code."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from medvlm_tui import cli, streams
from medvlm_tui.batch.display import JsonDisplay, PlainDisplay
from medvlm_tui.batch.run import _Audience, _Stop
from medvlm_tui.core.events import Log
from medvlm_tui.core.workspace.run_journal import Said
from medvlm_tui.errors import MedvlmError

from .conftest import environment

PROGRAM = f"{sys.executable} -m medvlm_tui"


def shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash; its streams are pipes."""
    around = {**environment(folder), "MEDVLM_WORKSPACE": str(folder / "ws"), **variables}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=around, cwd=folder, timeout=100, encoding="latin-1"
    )


@pytest.mark.parametrize("command", ["", "attach"])
@pytest.mark.parametrize("closed", ["<&-", "<&- >&-"])
def test_a_closed_stream_is_no_terminal(tmp_path: Path, command: str, closed: str) -> None:
    done = shell(f"{PROGRAM} {command} {closed}", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("medvlm-tui: ")
    assert "Traceback" not in done.stderr


def test_without_any_stream_the_exit_code_still_says_it(tmp_path: Path) -> None:
    assert shell(f"{PROGRAM} models no_such_model <&- >&- 2>&-", tmp_path).returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("command", ["models", "models --json", "--help"])
def test_a_full_disk_under_standard_output_is_one_sentence(tmp_path: Path, command: str) -> None:
    done = shell(f"{PROGRAM} {command} > /dev/full", tmp_path)
    assert done.returncode == 4
    assert done.stderr.splitlines()[0] == "medvlm-tui: standard output: No space left on device"
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_under_the_messages_costs_the_messages(tmp_path: Path) -> None:
    assert shell(f"{PROGRAM} models no_such_model 2> /dev/full", tmp_path).returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_written_in_plain_characters(tmp_path: Path, encoding: str) -> None:
    text = "81.0 ± 0.3 %  ──●──┘ ██"
    code = f"from medvlm_tui import streams; streams.prepare(); print({json.dumps(text)}); streams.finish()"
    done = shell(f"{sys.executable} -c '{code}'", tmp_path, PYTHONIOENCODING=encoding)
    plus_minus = "+-" if encoding == "ascii" else "±"
    assert (done.stdout, done.stderr) == (f"81.0 {plus_minus} 0.3 %  --o--+ ##\n", "")


def test_what_no_plain_character_stands_for_is_written_out() -> None:
    streams.prepare()
    assert "± 5 → 日".encode("ascii", "medvlm-plain") == b"+- 5 -> \\u65e5"
    assert "±".encode("latin-1", "medvlm-plain") == b"\xb1"


def test_the_screens_want_utf_8(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "medvlm_tui", "--workspace", str(tmp_path / "ws")]
    around = {**environment(tmp_path), "PYTHONIOENCODING": "latin-1", "TERM": "xterm"}
    done = subprocess.run(command, stdin=theirs, stdout=theirs, stderr=theirs, env=around, timeout=60)
    said = os.read(ours, 4096).decode("latin-1")
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert "the screens need UTF-8, this terminal's encoding is iso8859-1" in said


class _Pipe:
    """A pipe whose writing end stands in for a standard stream, until the test ends."""

    def __init__(self, number: int) -> None:
        self.number, self.kept = number, os.dup(number)
        self.reading, writing = os.pipe()
        os.dup2(writing, number)
        os.close(writing)

    def close(self) -> None:
        os.dup2(self.kept, self.number)
        os.close(self.kept)


@contextmanager
def pipes():
    """Pipes in the place of stdout and stderr, within a test: pytest puts its own there before it begins."""
    made = _Pipe(1), _Pipe(2)
    try:
        yield made
    finally:
        for pipe in made:
            pipe.close()


def _said() -> Said:
    return Said("r", 0, Log("info", "words"), "{}")


def test_a_run_goes_on_while_its_output_is_read_and_ends_without_any_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = _Stop(terminals=())
    with pipes() as (output, errors):
        monkeypatch.setattr(sys, "stderr", streams._stream(2, streams.STDERR, None))
        audience = _Audience(PlainDisplay(sys.stderr), stop)
        os.close(errors.reading)
        audience(_said())
        assert not stop.requested
        os.close(output.reading)
        audience(_said())
    assert stop.requested


def test_events_without_a_reader_end_a_run() -> None:
    stop = _Stop(terminals=())
    with pipes() as (output, _), open(1, "w", closefd=False) as lines:
        os.close(output.reading)
        _Audience(JsonDisplay(lines), stop)(_said())
        assert stop.requested


@pytest.mark.parametrize("log", ["there", "a link", "no place"])
def test_an_unknown_error_of_any_command_goes_to_the_log_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: str
) -> None:
    def fail(arguments: list[str]) -> int:
        raise RuntimeError("unknown \x1b]0;title\x07 hf_abcdefghijklmnopqrstuvwx")

    workspace = tmp_path / "ws"
    if log == "a link":
        (workspace / "logs").mkdir(parents=True)
        (tmp_path / "notes.txt").write_text("words")
        (workspace / "logs" / "commands.log").symlink_to(tmp_path / "notes.txt")
    if log == "no place":
        workspace.write_text("a file")
    monkeypatch.setenv("MEDVLM_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setattr(cli, "_command", fail)
    assert cli.main(["models", "--workspace", str(workspace)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "medvlm-tui: unexpected error: RuntimeError: unknown \\x1b]0;title\\x07 [secret]"
    if log == "there":
        assert second == f"  the traceback is in {workspace}/logs/commands.log"
        written = (workspace / "logs" / "commands.log").read_text()
        assert "in fail" in written
        assert "hf_abc" not in written
        assert (workspace / "logs" / "commands.log").stat().st_mode & 0o777 == 0o600
    else:
        assert "the log cannot be written" in second
    if log == "a link":
        assert (tmp_path / "notes.txt").read_text() == "words"


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (OSError(28, "No space left on device", "/x/f.npz"), "/x/f.npz: No space left on device", 4),
        (PermissionError(13, "Permission denied", "/x/f"), "/x/f: Permission denied", 4),
        (OSError(24, "Too many open files", "/x/f"), "files open", 4),
        (BlockingIOError(11, "Resource temporarily unavailable"), "no further process or thread", 1),
        (RuntimeError("can't start new thread"), "no further process or thread", 1),
        (MemoryError(), "too little memory", 1),
        (ImportError("libx.so: failed to map segment from shared object"), "too little memory", 1),
        (MedvlmError("known"), "known", 1),
    ],
)
def test_what_the_system_refuses_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, words: str, code: int
) -> None:
    def fail(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_command", fail)
    assert cli.main(["models"]) == code
    said = capsys.readouterr().err
    assert words in said
    assert "unexpected error" not in said
