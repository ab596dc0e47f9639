"""A workspace belongs to one user: nothing in it is written through a link, and nobody else may write there."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from medvlm_tui.core import atomic_files, events
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.store.machine_cache import Measured
from medvlm_tui.core.workspace import logs, run_journal
from medvlm_tui.core.workspace.latest_results import LatestResults
from medvlm_tui.core.workspace.workspace import LOCK, Workspace
from medvlm_tui.errors import StoreError

WORDS = "words that matter"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace that was used before."""
    made = Workspace(tmp_path / "ws")
    made.make()
    return made


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A file of the user's that nothing may touch."""
    path = tmp_path / "notes.txt"
    path.write_text(WORDS)
    return path


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o707, 0o1777])
def test_a_workspace_that_others_can_write_is_refused(workspace: Workspace, mode: int) -> None:
    workspace.root.chmod(mode)
    with pytest.raises(StoreError, match="can be written by others") as refused, workspace.busy("batch"):
        pass
    assert refused.value.hint == f"chmod 700 {workspace.root}"
    assert refused.value.exit_code == 4
    assert not (workspace.root / LOCK).exists()


def test_one_that_others_can_read_is_taken(workspace: Workspace) -> None:
    workspace.root.chmod(0o755)
    with workspace.busy("batch"):
        assert json.loads((workspace.root / LOCK).read_bytes())["by"] == "batch"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("folder", ["", "logs", "runs"])
def test_a_folder_of_another_user_is_refused(workspace: Workspace, folder: str) -> None:
    os.chown(workspace.root / folder, 12345, 12345)
    with pytest.raises(StoreError, match="belongs to another user"):
        workspace.make()


def test_no_lock_log_or_run_file_is_written_through_a_link(workspace: Workspace, notes: Path) -> None:
    for path in (workspace.root / LOCK, workspace.logs / "engine.log", workspace.runs / "r" / run_journal.FILE):
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(notes)
    with pytest.raises(StoreError, match=r"run\.lock is a link"), workspace.busy("batch"):
        pass
    with pytest.raises(StoreError, match=r"run\.lock is a link"):
        workspace.holder()
    with pytest.raises(StoreError, match=r"events\.jsonl is a link"):
        run_journal.RunFile(workspace.runs / "r")
    with pytest.raises(StoreError, match=r"engine\.log is a link"):
        logs.note_defect(workspace.logs / "engine.log", RuntimeError("x"))
    logs.rotate(workspace.logs / "engine.log", most_bytes=1)
    assert notes.read_text() == WORDS


def test_an_export_replaces_a_link_and_its_temporary_name_cannot_be_foreseen(notes: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").symlink_to(notes)
    (tmp_path / "table.csv.tmp").symlink_to(notes)
    atomic_files.write_export(tmp_path / "table.csv", b"rows")
    assert notes.read_text() == WORDS
    assert (tmp_path / "table.csv").read_bytes() == b"rows"
    assert not (tmp_path / "table.csv").is_symlink()


def test_a_link_to_a_folder_inside_an_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="figures is a link"):
        atomic_files.refuse_linked_folders(tmp_path / "out")
    atomic_files.refuse_linked_folders(tmp_path / "not there yet")


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_what_is_exported_obeys_the_umask_and_what_is_kept_is_private(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        atomic_files.write_export(tmp_path / "out" / "deep" / "table.csv", b"rows")
        atomic_files.write_atomic(tmp_path / "kept" / "block", b"rows")
    finally:
        os.umask(before)
    for path, mode in (("out", 0o777), ("out/deep", 0o777), ("out/deep/table.csv", 0o666)):
        assert (tmp_path / path).stat().st_mode & 0o777 == mode & ~umask
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "kept" / "block").stat().st_mode & 0o777 == 0o600


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(os, name, fail)


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EROFS, "read-only"), (errno.ENOSPC, "full"), (errno.EACCES, "Permission denied")]
)
def test_a_workspace_that_cannot_be_written_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    refuse(monkeypatch, "open", number)
    with pytest.raises(StoreError, match=words), workspace.busy("batch"):
        pass


def test_a_full_disk_under_a_run_is_said_once_and_leaves_whole_lines(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_journal.RunFile(workspace.runs / "r") as file:
        file.append(events.Log("info", "first"))
        whole = file.path.read_bytes()
        real = os.write
        with monkeypatch.context() as patch:
            left = [7]

            def write(descriptor: int, data: bytes) -> int:
                if not left:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return real(descriptor, data[: left.pop()])

            patch.setattr(os, "write", write)
            with pytest.raises(StoreError, match="No space left") as refused:
                file.append(events.Log("info", "second"))
        assert "free some space" in refused.value.hint
        assert file.path.read_bytes() == whole
        file.append(events.Log("info", "third"))
    assert [events.from_json(line).message for line in run_journal.whole_lines(file.path)[0]] == ["first", "third"]


def test_a_cache_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "image").write_bytes(b"x")
    digests = FileDigests(tmp_path / "file_digests.json")
    digests.of(tmp_path / "image")
    refuse(monkeypatch, "replace", errno.EIO)
    digests.save()
    Measured(tmp_path / "measured.json").note("batch_size", "k", 8)
    LatestResults(tmp_path / "latest.json", {}).note("probe", "t", "k")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image"], "no temporary file is left behind"


def test_a_log_that_cannot_be_written_says_nothing_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import logging

    handler = logs.LogFile(tmp_path / "no" / "folder" / "engine.log")
    handler.emit(logging.LogRecord("x", logging.ERROR, "", 1, "words", None, None))
    handler.close()
    assert capsys.readouterr() == ("", "")


def test_damaged_bytes_of_a_run_file_keep_their_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a"\xff: 1}\n{"b\x1c\x0b": 2}\nhalf')
    assert run_journal.whole_lines(path) == (['{"a"\\xff: 1}', '{"b\x1c\x0b": 2}'], path.stat().st_size - 4)
    progress = '{"type": "StepProgress", "step": "\\q", "done": 1, "total": 2}'
    assert list(run_journal.without_old_progress([progress])) == [progress]


def test_an_error_of_writing_names_the_file_that_the_user_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "f.npz").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as refused, atomic_files.replacing(tmp_path / "f.npz") as file:
        file.write(b"half")
    assert refused.value.filename == str(tmp_path / "f.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["f.npz"]
    assert (tmp_path / "f.npz").read_bytes() == b"old"
