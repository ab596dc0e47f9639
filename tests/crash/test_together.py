"""Several processes on one store: writers of the same keys, and a scrub beside writers. About 30 seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.store.verify import scrub, verify
from tests.crash.conftest import account, tidy
from tests.crash.writer import Child, numbers, value_of, writer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
BLOCKS = 60


@pytest.mark.parametrize("processes", [2, 4])
def test_writers_of_the_same_keys_neither_lose_nor_double(store_path: Path, kind: str, processes: int, report) -> None:
    children = [writer(store_path, 0, BLOCKS, rows=1024) for _ in range(processes)]
    began = time.monotonic()
    for child in children:
        child.begin()
    said = [numbers(child.finish()) for child in children]
    rate = BLOCKS * len(value_of(0, 1024)) / (1 << 20) / (time.monotonic() - began)
    assert said == [set(range(BLOCKS))] * processes
    found = account(store_path, set(range(BLOCKS)), rows=1024)
    leftovers = tidy(store_path)
    with Store(store_path, read_only=True) as store:
        files = len(list(store.journal.entries()))
    report(f"{processes} writers of the same {BLOCKS} keys, {kind}: {files} entries, {rate:.0f} MiB/s kept, 0 lost")
    assert (found.lost, found.wrong, files, leftovers) == ([], [], BLOCKS, 0)


def _scrubs(path: Path) -> Callable[[Callable[[str], None]], None]:
    def work(say: Callable[[str], None]) -> None:
        end = time.monotonic() + 4
        with Store(path) as store:
            while time.monotonic() < end:
                say(f"removed_{len(scrub(store).removed)}")

    return work


def test_a_scrub_beside_writers_removes_nothing_of_theirs(store_path: Path, kind: str, report) -> None:
    writers = [writer(store_path, 1000 * number, 100_000) for number in range(2)]
    scrubber = Child.fork(_scrubs(store_path))
    for child in (*writers, scrubber):
        child.begin()
    scrubs = len([line for line in scrubber.finish() if line.startswith("removed_")])
    for child in writers:
        child.kill()
    told = set.union(*(numbers(child.finish()) for child in writers))
    found = account(store_path, told)
    with Store(store_path) as store:
        assert list(verify(store)) == []
    report(f"scrub beside 2 writers, {kind}: {scrubs} scrubs, {len(told)} blocks written, {len(found.lost)} lost")
    assert scrubs > 3
    assert len(told) > 20
    assert found.lost == found.wrong == []
