"""Number of CPU cores that this process may use: by its affinity and by the quota of its cgroups."""

from __future__ import annotations

import math
import os
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def cores(membership: Path = _MEMBERSHIP, cgroups: Path = _CGROUPS) -> int:
    """Return how many cores this process may use, at least 1.

    A batch system or a container gives a job some of the machine's cores by an affinity mask, by a quota (`cpu.max`
    of cgroups version 2, `cpu.cfs_quota_us` of version 1), or by both; the smaller one counts. A quota of 1.5 cores
    counts as 2.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(membership, cgroups)
    return max(1, available if quota is None else min(available, math.ceil(quota)))


def _quota(membership: Path, cgroups: Path) -> float | None:
    """Return the least quota, in cores, of the process's cgroups and of all that contain them; None without one."""
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None  # not Linux
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroups / controllers if controllers else cgroups
        folder = top / path.strip("/")
        found += [_quota_of(each) for each in (folder, *folder.parents) if each == top or top in each.parents]
    return min((quota for quota in found if quota is not None), default=None)


def _quota_of(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return float(quota) / float(period) if quota not in ("max", "-1") else None
    except (OSError, ValueError, ZeroDivisionError):
        return None  # this cgroup has no quota, or its files may not be read
