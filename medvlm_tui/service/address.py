"""Address of a workspace's engine: a Unix socket in a directory of this user alone; the workspace stores its path."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from medvlm_tui.core.atomic_files import write_atomic
from medvlm_tui.errors import StoreError

FILE = "engine.json"
LOCK = "engine.lock"
"""Held by the engine as long as it lives: of two that start at once, one goes away."""
# sun_path of Linux holds 108 bytes, the last of them zero.
LONGEST_PATH_BYTES = 107


@dataclass(frozen=True, slots=True)
class Address:
    """A listening engine."""

    socket: str
    pid: int
    host: str
    """A socket is reached from its own machine only; the workspace may lie on a disk that several share."""


def read(workspace: Path) -> Address | None:
    """Return what the workspace says; it may be the address of an engine that was killed."""
    try:
        record = json.loads((workspace / FILE).read_bytes())
        return Address(str(record["socket"]), int(record["pid"]), str(record["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def here(path: Path) -> Address:
    """Return the address of this process at `path`."""
    return Address(str(path), os.getpid(), socket.gethostname())


def write(workspace: Path, found: Address) -> None:
    """Record an address in the workspace."""
    write_atomic(workspace / FILE, json.dumps(asdict(found)).encode())


def socket_path(workspace: Path) -> Path:
    """Return where the workspace's engine listens; raises StoreError when no directory for it is ours alone."""
    name = hashlib.sha256(os.fsencode(workspace.resolve())).hexdigest()[:16] + ".sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and _is_ours(Path(runtime)):
        path = Path(runtime) / "medvlm-tui" / name
        if len(os.fsencode(path)) <= LONGEST_PATH_BYTES:
            return _in_own_directory(path)
    # Not TMPDIR: what a job or a shell has set there may be long, and may be another one tomorrow.
    return _in_own_directory(Path("/tmp") / f"medvlm-tui-{os.getuid()}" / name)  # noqa: S108 (0700, checked)


def _in_own_directory(path: Path) -> Path:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        ours = _is_ours(path.parent)
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be made: {error.strerror}", "set XDG_RUNTIME_DIR") from error
    if not ours:
        raise StoreError(
            f"{path.parent} is not a directory that only you can enter",
            f"chmod 700 {path.parent}, remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        )
    return path


def _is_ours(directory: Path) -> bool:
    try:
        found = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
