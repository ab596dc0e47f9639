"""Errors of the operating system in one sentence: a full disk, a missing right, a limit that was reached."""

from __future__ import annotations

import errno
import resource
from collections.abc import Mapping

from medvlm_tui.errors import MedvlmError, StoreError

_FREE_SPACE = "free some space; then run the same command again: what was stored is kept"
_HINTS: Mapping[int, str] = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EROFS: "that disk is mounted read-only: choose another place",
    errno.EACCES: "check the permissions of the file and of the folders above it",
    errno.EPERM: "check the permissions of the file and of the folders above it",
    errno.EIO: "the disk has a fault: check it, then run the same command again",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path: a part of it is a file",
    errno.EISDIR: "it is a folder: name a file",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "remove the link",
}


def in_words(error: BaseException) -> MedvlmError | None:
    """Return the known problem behind an error of the system, None for anything else."""
    text = str(error)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return StoreError(f"this process may have no more than {most} files open", "raise the limit: ulimit -n 4096")
    if _is_about_processes(error, text):
        most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        words = (
            f"the system starts no further process or thread for this user (limit {most if most >= 0 else 'unknown'})"
        )
        return MedvlmError(words, "raise the limit (ulimit -u), end other programs, or take fewer --workers")
    if _is_about_memory(error, text):
        return MedvlmError(f"there is too little memory{_memory_limit()}", "raise the limit, or free memory")
    if isinstance(error, OSError) and (hint := _HINTS.get(error.errno or 0)) and error.filename is not None:
        return StoreError(f"{_name(error.filename)}: {error.strerror}", hint)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(error.strerror or "the disk is full", _FREE_SPACE)
    return None


def _is_about_processes(error: BaseException, text: str) -> bool:
    return (isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN) or (
        isinstance(error, RuntimeError) and "can't start new thread" in text
    )


def _is_about_memory(error: BaseException, text: str) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    # A library that does not fit below `ulimit -v`, and torch's allocator of the main memory.
    mapped = isinstance(error, ImportError) and ("failed to map segment" in text or "Cannot allocate memory" in text)
    return mapped or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in text)


def _memory_limit() -> str:
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return "" if most == resource.RLIM_INFINITY else f": this process may take {most / 1e9:.1f} GB (ulimit -v)"


def _name(filename: str | bytes | int) -> str:
    return filename.decode("utf-8", "replace") if isinstance(filename, bytes) else str(filename)
