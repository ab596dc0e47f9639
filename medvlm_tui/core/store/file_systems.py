"""Which file systems are shared between machines: SQLite's locks and shared memory fail there."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path

# f_type of statfs(2): linux/magic.h, and the headers of Lustre, GPFS, BeeGFS and PanFS.
NETWORK: Mapping[int, str] = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFE534D42: "SMB2",
    0xFF534D42: "CIFS",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x65735546: "FUSE",
    0x19830326: "BeeGFS",
    0x00C36400: "CephFS",
    0x01021997: "9P",
    0x5346414F: "AFS",
    0xAAD7AAEA: "PanFS",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
}
FIXED_MODES = frozenset({"SMB", "SMB2", "CIFS", "FUSE", "9P"})
"""File systems on which owner and mode may come from the mount, so that chmod changes nothing."""


def type_of(path: Path) -> int:
    """Return f_type of the file system that holds `path` (its nearest existing parent), 0 when unknown."""
    if not sys.platform.startswith("linux"):
        return 0
    existing = path.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    # struct statfs begins with f_type, one machine word; 512 bytes hold it on every architecture.
    buffer = ctypes.create_string_buffer(512)
    library = ctypes.CDLL(None, use_errno=True)
    if library.statfs(bytes(existing), buffer) != 0:
        return 0
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF


def network_name(path: Path) -> str:
    """Return the name of the network file system that holds `path`, empty for a local one."""
    return NETWORK.get(type_of(path), "")
