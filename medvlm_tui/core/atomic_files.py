"""Writing files: a crash leaves the old one or the new one, never a mixture, and no link is ever followed.

A link that somebody else put where a file is to be written is replaced by the file (`write_atomic`, `write_export`)
or refused (`open_own`): what it leads to stays as it is.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from medvlm_tui.errors import StoreError

TEMPORARY = ".tmp"
"""Suffix of a file that is being written; one that stays behind is the leftover of a killed process."""
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
"""Modes in the store and the workspace, which belong to one user."""
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
EXPORTED_FILE, EXPORTED_FOLDER = 0o666, 0o777
"""Modes of what a user takes away: the umask decides, as for any program's output."""


def fsync_directory(path: Path) -> None:
    """Make a rename inside `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # CIFS and some FUSE file systems cannot sync a directory, and say so with these two.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_directory(path: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Make a directory and the missing ones above it; each survives a power cut once this has returned."""
    if path.is_dir():
        return
    if path.parent != path:
        make_directory(path.parent, mode)
    path.mkdir(mode=mode, exist_ok=True)
    fsync_directory(path.parent)


@contextmanager
def replacing(path: Path, mode: int = PRIVATE_FILE) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of `path`, durably, once the block has ended without an error."""
    name = f".{path.name[:60]}.{secrets.token_hex(8)}{TEMPORARY}"
    temporary = path.with_name(name)
    try:
        descriptor = os.open(temporary, _NEW_FILE, mode)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # the error that is under way says more
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None  # the name that the user knows
        raise
    fsync_directory(path.parent)


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Write `data` for this user alone: to a temporary file beside `path`, synced, renamed over `path`."""
    make_directory(path.parent)
    with replacing(path, mode) as file:
        file.write(data)


def write_export(path: Path, data: bytes) -> None:
    """Write `data` for whoever the umask lets read it; missing folders are made in the same way."""
    make_directory(path.parent, EXPORTED_FOLDER)
    with replacing(path, EXPORTED_FILE) as file:
        file.write(data)


def open_own(path: Path, flags: int, mode: int = PRIVATE_FILE) -> int:
    """Return a descriptor of a lock or a log; raises StoreError where a link lies in its place, OSError otherwise."""
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EMLINK):
            raise
        raise StoreError(
            f"{path} is a link, and this program writes through none there",
            f"somebody else may have put it there: look at it with `ls -l {path}`, then remove it",
        ) from error


def refuse_linked_folders(folder: Path) -> None:
    """Raise StoreError for a link to a folder inside `folder`: files written below it would land elsewhere."""
    with suppress(FileNotFoundError):
        for found in os.scandir(folder):
            if found.is_symlink() and found.is_dir():
                raise StoreError(
                    f"{found.path} is a link to another folder", "remove the link, or choose another --out"
                )


def write_cache(path: Path, data: bytes) -> bool:
    """Write what can be found out again and say whether it was kept; a disk that refuses costs a warning in the log."""
    try:
        write_atomic(path, data)
    except OSError as error:
        logging.getLogger(__name__).warning("%s is not kept: %s", path, error.strerror or error)
        return False
    return True
