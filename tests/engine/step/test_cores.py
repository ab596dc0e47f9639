"""The cores of this process: fewer than the machine has where an affinity mask or a cgroup's quota says so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.probe import split as division
from medvlm_tui.engine.step.cores import cores
from tests.made.jobs import Bench, table_of


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """An affinity mask of 8 cores on a machine with 64."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def cgroup(tmp_path: Path, line: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Make the two places that the kernel describes cgroups in."""
    (tmp_path / "membership").write_text(line + "\n")
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text + "\n")
    return tmp_path / "membership", tmp_path / "fs"


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("line", "files", "expected"),
    [
        ("0::/", {}, 8),
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/", {"cpu.max": "300000 100000"}, 3),
        ("0::/job/step", {"job/step/cpu.max": "max 100000", "job/cpu.max": "250000 100000"}, 3),
        ("0::/job", {"job/cpu.max": "10000 100000"}, 1),
        ("0::/job", {"job/cpu.max": "9900000 100000"}, 8),
        ("0::/../../job", {"cpu.max": "200000 100000"}, 2),
        (
            "4:cpu,cpuacct:/docker/a",
            {"cpu,cpuacct/cpu.cfs_quota_us": "200000", "cpu,cpuacct/cpu.cfs_period_us": "50000"},
            4,
        ),
        ("4:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ("3:memory:/a", {"memory/a/cpu.max": "100000 100000"}, 8),
        ("0::/", {"cpu.max": "nonsense"}, 8),
    ],
)
def test_affinity_and_quota_both_limit(tmp_path: Path, line: str, files: dict[str, str], expected: int) -> None:
    assert cores(*cgroup(tmp_path, line, files)) == expected


def test_the_machine_counts_where_the_system_has_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores(tmp_path / "absent", tmp_path) == 6


@pytest.mark.usefixtures("eight_cores")
def test_look_alikes_are_searched_on_the_cores_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def none_alike(samples: Sequence[Sample], workers: int, *_: object) -> Iterator[int]:
        asked.append(workers)
        yield len(samples)
        return [np.zeros(0)] * len(samples)

    monkeypatch.setattr(division, "fingerprints", none_alike)
    monkeypatch.setattr(division, "cluster_groups", lambda samples, _: [""] * len(samples))
    bench = Bench(tmp_path, table_of(np.zeros((4, 2)), [0, 0, 1, 1], ("a", "b")))
    assert list(division.look_alikes(bench.dataset, bench.job("probe", {}), bench.context))
    assert len(asked) == 1
    assert asked[0] <= 8
