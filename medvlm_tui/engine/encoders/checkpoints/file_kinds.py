"""Kind of a checkpoint file, by its first bytes: names and suffixes are not trusted. Imports no torch."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

Kind = Literal["safetensors", "archive", "script", "pickle", "index"]

_HEAD_BYTES = 512
_LFS_POINTER = b"version https://git-lfs"
# First bytes -> what such a file is, and what to do with it.
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (_LFS_POINTER, "a Git LFS pointer, not the file itself", "download it again, or `git lfs pull`"),
    (b"<!doctype html", "a web page, not the file itself", "download it again, logged in where its page asks for it"),
    (b"<html", "a web page, not the file itself", "download it again, logged in where its page asks for it"),
    (b"../../blobs/", "the text of a link, not the file itself", "copy the cache with its links (cp -a, rsync -a)"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it first"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"BZh", "compressed by bzip2", "unpack it first"),
    (b"\x89HDF", "an HDF5 file of Keras or TensorFlow", "get the weights for PyTorch"),
    (b"GGUF", "a GGUF file", "get the weights as safetensors"),
    (b"\x93NUMPY", "a NumPy array", "get the weights as safetensors"),
)


def kind_of(path: Path) -> Kind | None:
    """Return how a checkpoint is read, None for a file whose bytes say nothing; raises OSError."""
    if path.name.endswith(".index.json"):
        return "index"
    head = _head(path)
    if head.startswith(b"PK\x03\x04"):
        return "script" if _is_script(path) else "archive"
    if _is_safetensors(head):
        return "safetensors"
    return "pickle" if head[:1] == b"\x80" else None


def not_a_checkpoint(path: Path) -> tuple[str, str] | None:
    """Return what a file is that cannot be a checkpoint, and what to do; None when it may be one. Raises OSError."""
    head = _head(path)
    if not head:
        return "empty", "download it again"
    for mark, what, to_do in _OTHERS:
        if head.lstrip()[: len(mark)].lower() == mark.lower():
            return what, to_do
    return None


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(_HEAD_BYTES)


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes of length, then a JSON object."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40


def _is_script(path: Path) -> bool:
    """An archive of torch with code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError):
        return False
    folder = next((name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl")), None)
    return folder is not None and any(name.startswith(f"{folder}code/") for name in names)
