"""A disk that refuses (EIO, ENOSPC) or is full: no false success, and what was there stays. About 1 minute."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from medvlm_tui.core.store.store import Store
from tests.crash.conftest import account, make_store, tidy
from tests.crash.writer import needs_strace, numbers, traced, writer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FAULTS = (("write", "ENOSPC"), ("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("fsync", "EIO"), ("fdatasync", "EIO"))


@needs_strace
def test_a_failing_call_is_never_a_false_success(kind: str, tmp_path: Path, report) -> None:
    made = make_store(tmp_path / "made", kind)
    child = writer(made, 0, 2)
    child.begin()
    assert numbers(child.finish()) == {0, 1}
    points = refused = 0
    failures: list[str] = []
    for call, error in FAULTS:
        for number in range(1, _calls(made, call, tmp_path) + 1):
            path = tmp_path / "failing"
            shutil.copytree(made, path)
            options = ("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}", "-o", "/dev/null")
            said = traced(writer(path, 2, 1), *options)
            points += 1
            refused += any(line.startswith(("refused", "failed")) for line in said)
            found = account(path, numbers(said) | {0, 1})
            tidy(path)
            after = writer(path, 2, 1)
            after.begin()
            if found.lost or found.wrong or numbers(after.finish()) != {2}:
                failures.append(f"{call} {error} {number}: lost {found.lost}, wrong {found.wrong}")
            shutil.rmtree(path)
    report(
        f"a failing write or sync, {kind}: {points} points, {refused} refused with an error, {points - refused} "
        f"without effect on the put, {len(failures)} false successes or losses"
    )
    assert refused >= 2
    assert failures == []


def _calls(made: Path, call: str, tmp_path: Path) -> int:
    """Return how often a put makes a system call, the opening of the store included."""
    path, trace = tmp_path / "sample", tmp_path / "trace"
    shutil.copytree(made, path)
    assert numbers(traced(writer(path, 2, 1), "-e", f"trace={call}", "-o", str(trace))) == {2}
    shutil.rmtree(path)
    return sum(f" {call}(" in line for line in trace.read_text().splitlines())


@pytest.fixture
def small_disk(tmp_path: Path):
    """A tmpfs of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_said_and_what_was_stored_stays(kind: str, small_disk: Path, report) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * (8 << 20))
    path = make_store(small_disk / "store", kind)
    child = writer(path, 0, 1000, rows=256)
    child.begin()
    said = child.finish()
    told = numbers(said)
    assert "is_full" in said[-1]
    assert 10 < len(told) < 1000
    found = account(path, told, rows=256, read_only=True)
    assert found.lost == found.wrong == []
    ballast.unlink()
    began = time.monotonic()
    child = writer(path, len(told), 3, rows=256)
    child.begin()
    assert len(numbers(child.finish())) == 3
    resumed_s = time.monotonic() - began
    tidy(path)
    report(f"full disk, {kind}: {len(told)} blocks kept, 0 lost, 3 more after space was made in {resumed_s:.2f} s")


def test_a_read_only_disk_is_read(kind: str, small_disk: Path, report) -> None:
    path = make_store(small_disk / "store", kind)
    child = writer(path, 0, 5)
    child.begin()
    child.kill() if kind == "sqlite" and time.sleep(0.5) else None
    told = numbers(child.finish())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    found = account(path, told, read_only=True)
    assert found.lost == found.wrong == []
    with Store(path, read_only=True) as store:
        assert store.read_only
    report(f"read-only disk, {kind}: {len(told)} of {len(told)} read")
