"""The journal on a network file system: no SQLite and no locks, one file an entry, named by its key's digest.

A value is written beside its place, synced and renamed, so that a reader on any machine sees all of it or none.
Entries whose keys share everything up to the last `/` lie in one folder: the blocks of an encoder are one listing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core import digests
from medvlm_tui.core.atomic_files import TEMPORARY, fsync_directory, write_atomic
from medvlm_tui.core.store import keys, value_file
from medvlm_tui.core.store.journal import Damage, Entry
from medvlm_tui.errors import CorruptEntryError, StoreError

_FOLDER = re.compile(r"[0-9a-f]{16}")
_FILE = re.compile(r"[0-9a-f]{32}\.val")


class FileJournal:
    """`FOLDER/<digest of the key's parent>/<digest of the key>.val`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, str] = {}

    def close(self) -> None:
        """Nothing is kept open."""

    def add(self, key: str, value: bytes) -> bool:
        """Write the value's file under its final name."""
        if not isinstance(key, str) or not isinstance(value, bytes):
            raise StoreError(f"store keys are text and values bytes, not {type(key).__name__}, {type(value).__name__}")
        path = self._path(key)
        if path.exists():
            return False
        write_atomic(path, value_file.encode(key, value))
        return True

    def discard(self, key: str) -> None:
        """Remove the file."""
        path = self._path(key)
        self._known.pop(path, None)
        if path.is_file() or path.is_symlink():
            path.unlink(missing_ok=True)
            fsync_directory(path.parent)

    def value(self, key: str) -> bytes | None:
        """Return the verified value."""
        path = self._path(key)
        try:
            return value_file.read_of(path, key)
        except CorruptEntryError:
            if os.path.lexists(path):
                raise
            return None

    def head(self, key: str, size: int) -> bytes:
        """Return the beginning of a value, unverified."""
        found, body = value_file.head(self._path(key), size)
        if found != key:
            raise ValueError(f"another key than {key}")
        return body

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted; a prefix that ends with `/` reads one folder."""
        names = [_folder_name(prefix)] if prefix.endswith("/") else []
        own = self._keys_in(names)
        # A prefix such as `result/` is the parent of its keys; one such as `block/` stands above other folders.
        if not own or not prefix.endswith("/"):
            own = self._keys_in(self._folders())
        return sorted(key for key in own if key.startswith(prefix))

    def __contains__(self, key: str) -> bool:
        return os.path.lexists(self._path(key))

    def entries(self) -> Iterator[Entry]:
        """List the value files that name their key."""
        for path in self._files(self._folders()):
            key = self._key_of(path)
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # discarded meanwhile
            if key is not None:
                yield Entry(key, path, status.st_size, status.st_mtime)

    def damages(self) -> Iterator[Damage]:
        """Read every value; a file under a name that is not its key's is damage too."""
        for path in self._files(self._folders()):
            where = f"journal/{path.relative_to(self._folder)}"
            try:
                key, _ = value_file.read(path)
            except CorruptEntryError as error:
                yield Damage(where, error.message, self._key_of(path) or "")
                continue
            if self._path(key) != path:
                yield Damage(where, "it lies in the place of another key")

    def strays(self) -> list[Path]:
        """Return temporary files."""
        return sorted(path for path in self._folder.glob(f"*/.*{TEMPORARY}") if _FOLDER.fullmatch(path.parent.name))

    def _path(self, key: str) -> Path:
        return self._folder / _folder_name(key) / f"{digests.of_record(key)}.val"

    def _folders(self) -> list[str]:
        names = os.listdir(self._folder) if self._folder.is_dir() else []
        return sorted(name for name in names if _FOLDER.fullmatch(name))

    def _files(self, folders: list[str]) -> Iterator[Path]:
        for name in folders:
            try:
                files = sorted(os.listdir(self._folder / name))
            except (FileNotFoundError, NotADirectoryError):
                continue
            yield from (self._folder / name / file for file in files if _FILE.fullmatch(file))

    def _keys_in(self, folders: list[str]) -> list[str]:
        found = (self._key_of(path) for path in self._files(folders))
        return [key for key in found if key is not None]

    def _key_of(self, path: Path) -> str | None:
        """Return the key that a file names, None unless the file's name agrees; read once, as it never changes."""
        if path not in self._known:
            try:
                key, _ = value_file.head(path, 0)
            except (OSError, ValueError):
                return None
            if self._path(key) != path:
                return None
            self._known[path] = key
        return self._known[path]


def _folder_name(key: str) -> str:
    """Return the folder of a key, or of the keys below a prefix that ends with `/`."""
    return digests.of_record(keys.group(key))[:16]
