"""Whose a folder is: what the program keeps in its workspace belongs to one user, and nobody else may write there."""

from __future__ import annotations

import os
from pathlib import Path

from medvlm_tui.core.store import file_systems
from medvlm_tui.errors import StoreError

_OTHERS_WRITE = 0o022


def refuse_foreign(folder: Path, what: str, hint: str) -> None:
    """Raise StoreError unless `folder` is this user's; `what` names it, e.g. `store`."""
    owner = folder.stat().st_uid
    if owner != os.getuid() and file_systems.network_name(folder) not in file_systems.FIXED_MODES:
        raise StoreError(f"the {what} {folder} belongs to another user (uid {owner})", hint)


def refuse_shared(folder: Path, what: str, hint: str) -> str:
    """Raise StoreError unless `folder` is this user's and no other can write there.

    Where owner and mode are the mount's (FUSE, SMB), return what a front end should say once instead.
    """
    refuse_foreign(folder, what, hint)
    mode = folder.stat().st_mode & 0o777
    if not mode & _OTHERS_WRITE:
        return ""
    network = file_systems.network_name(folder)
    if network in file_systems.FIXED_MODES:
        return f"{network} shows it as writable by others: make sure that the share is yours alone"
    raise StoreError(f"the {what} {folder} can be written by others (mode {mode:o})", f"chmod 700 {folder}")
