"""Main memory that this process may still take: of the machine, and of its cgroups."""

from __future__ import annotations

from pathlib import Path

_MEMORY = Path("/proc/meminfo")
_MEMBERSHIP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def free_bytes(memory: Path = _MEMORY, membership: Path = _MEMBERSHIP, cgroups: Path = _CGROUPS) -> int:
    """Return the bytes that can be taken without swapping; a container's limit counts, 0 where nothing is known."""
    found = [_available(memory), _left_in_cgroups(membership, cgroups)]
    return max(0, min((each for each in found if each is not None), default=0))


def _available(memory: Path) -> int | None:
    try:
        lines = memory.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None  # not Linux
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _left_in_cgroups(membership: Path, cgroups: Path) -> int | None:
    """Return the least that the process's cgroup (version 2) and those that contain it leave; None without a limit."""
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")
    folder = cgroups / path.strip("/")
    left = [_left_in(each) for each in (folder, *folder.parents) if each == cgroups or cgroups in each.parents]
    return min((each for each in left if each is not None), default=None)


def _left_in(folder: Path) -> int | None:
    try:
        limit = (folder / "memory.max").read_text().strip()
        return None if limit == "max" else int(limit) - int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return None
