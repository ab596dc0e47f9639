"""kill -9 while blocks are written: what was acknowledged is there, byte for byte. About 4 minutes on two cores."""

from __future__ import annotations

import itertools
import random
import shutil
import time
from pathlib import Path

import pytest

from medvlm_tui.core.store.store import Store
from tests.crash.conftest import account, make_store, tidy
from tests.crash.writer import needs_strace, numbers, traced, writer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
KILLS = 100
# What a put changes the disk with, as strace names it.
WRITING = ("write", "pwrite64", "fsync", "fdatasync", "rename", "mkdir", "unlink", "ftruncate", "chmod")


def test_kill_at_random_points_loses_nothing_acknowledged(store_path: Path, kind: str, report) -> None:
    draw = random.Random(0)
    told: set[int] = set()
    unsaid = 0
    for _ in range(KILLS):
        child = writer(store_path, len(told) + unsaid, 10_000)
        child.begin()
        time.sleep(draw.uniform(0.0, 0.3))
        child.kill()
        told |= numbers(child.finish())
        with Store(store_path, read_only=True) as store:
            unsaid = len(store.keys("crash/")) - len(told)
    found = account(store_path, told)
    report(
        f"kill -9 at random points, {kind}: {KILLS} kills, {len(told)} acknowledged, {len(found.lost)} lost, "
        f"{len(found.wrong)} wrong, {unsaid} stored but not acknowledged, {tidy(store_path)} leftovers scrubbed"
    )
    assert len(told) > KILLS
    assert account(store_path, told).lost == []
    assert unsaid <= KILLS  # at most the block under way


@needs_strace
@pytest.mark.parametrize("opened", [False, True], ids=["first opening", "third put"])
def test_kill_at_every_writing_call(kind: str, opened: bool, tmp_path: Path, report) -> None:
    made = make_store(tmp_path / "made", kind)
    if opened:
        child = writer(made, 0, 2)
        child.begin()
        assert numbers(child.finish()) == {0, 1}
    first = 2 if opened else 0
    tried, failures = 0, []
    for call in WRITING:
        for number in itertools.count(1):
            path = tmp_path / "killed"
            shutil.copytree(made, path)
            inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}", "-o", "/dev/null")
            told = numbers(traced(writer(path, first, 1), *inject))
            if told != {first}:
                tried += 1
                failures += _faults(path, first, f"at {call} {number}")
            shutil.rmtree(path)
            if told == {first}:
                break  # beyond the last call of this kind
    where = "a put" if opened else "the first opening and put"
    report(f"kill at every writing call of {where}, {kind}: {tried} points, {len(failures)} failures")
    assert tried > 5
    assert failures == []


def _faults(path: Path, first: int, where: str) -> list[str]:
    """Say what is wrong with a store whose writer was killed while it wrote block `first`."""
    found = account(path, set(range(first)))
    tidy(path)
    after = writer(path, first, 1)
    after.begin()
    goes_on = numbers(after.finish())
    whole = not found.lost and not found.wrong and goes_on == {first}
    return [] if whole else [f"{where}: lost {found.lost}, wrong {found.wrong}, then {goes_on}"]
