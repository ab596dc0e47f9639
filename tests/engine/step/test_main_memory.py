"""Free main memory: the machine's, and what the limits of containers leave."""

from __future__ import annotations

from pathlib import Path

from medvlm_tui.engine.step.main_memory import free_bytes

GB = 2**30


def machine(folder: Path, available_kb: int, **limits: tuple[str, int]):
    """Write the kernel's files: a group `a/b` with the given (limit, taken) of its folders."""
    (folder / "meminfo").write_text(f"MemTotal: 99 kB\nMemFree: 1 kB\nMemAvailable:   {available_kb} kB\n")
    (folder / "membership").write_text("0::/a/b\n")
    (folder / "groups" / "a" / "b").mkdir(parents=True)
    for name, (limit, taken) in limits.items():
        place = folder / "groups" / {"top": "", "a": "a", "b": "a/b"}[name]
        (place / "memory.max").write_text(f"{limit}\n")
        (place / "memory.current").write_text(f"{taken}\n")
    return folder / "meminfo", folder / "membership", folder / "groups"


def test_the_machine_counts_where_no_container_limits(tmp_path):
    assert free_bytes(*machine(tmp_path, 2**20, b=("max", 5))) == GB


def test_the_least_limit_of_all_groups_counts_less_what_is_taken(tmp_path):
    files = machine(tmp_path, 2**30, top=("max", 0), a=(str(3 * GB), GB), b=(str(9 * GB), GB))
    assert free_bytes(*files) == 2 * GB


def test_nothing_known_is_nothing_free(tmp_path):
    none = tmp_path / "none"
    assert free_bytes(none, none, none) == 0
    assert free_bytes(*machine(tmp_path, 4, a=("5", 7))) == 0
