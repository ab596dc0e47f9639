"""The store's directory: whose it is, which format it has, and which kind of journal was chosen for it."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from medvlm_tui.core.atomic_files import make_directory, write_atomic
from medvlm_tui.core.ownership import refuse_shared
from medvlm_tui.core.store import file_systems
from medvlm_tui.errors import StoreError

FORMAT_VERSION = 1
MARKER = "format.json"
JournalKind = Literal["sqlite", "files"]
_OTHERS_STORE = "a store serves one user: choose your own --workspace; features travel as sealed files"
_OTHER_RELEASE = "use the release that wrote it, or another --workspace; nothing was changed"


@dataclass(frozen=True, slots=True)
class Opened:
    """Facts about a store's directory after it was checked."""

    journal: JournalKind
    network: str
    """The network file system it lies on, empty on a local disk."""
    notice: str = ""
    """Notice that a front end shows once."""


def open_directory(directory: Path, read_only: bool) -> Opened:
    """Make or check the directory; raises StoreError when it is not ours, loose, or of another format."""
    network = file_systems.network_name(directory)
    if not directory.exists():
        if read_only:
            raise StoreError(f"there is no store at {directory}", "run an extraction first")
        try:
            make_directory(directory)
        except OSError as error:
            raise disk_error(error, directory) from error
    notice = refuse_shared(directory, "store", _OTHERS_STORE)
    if not (directory / MARKER).exists():
        if read_only:
            raise StoreError(f"{directory} is not a store of this program", "check --workspace")
        _make(directory, "files" if network else "sqlite")
    journal = _read_marker(directory / MARKER)
    if journal == "files":
        place = f"{network}, a network file system" if network else "a local disk, made for a network file system"
        told = f"the store {directory} lies on {place}: it keeps one file an entry instead of a database"
        return Opened(journal, network, "; ".join(filter(None, (told, notice))))
    if network and not read_only:
        raise StoreError(
            f"the store {directory} was made on a local disk and now lies on {network}, where its database fails",
            "use another --workspace and `medvlm-tui store export` / `store import`; it can still be read",
        )
    return Opened(journal, network, notice)


def marker_bytes(journal: JournalKind) -> bytes:
    """Return the exact content of format.json."""
    return json.dumps({"format": FORMAT_VERSION, "journal": journal}).encode()


def disk_error(error: OSError, directory: Path) -> StoreError:
    """Return what a person should read when the disk refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"the disk that holds {directory} is full",
            "free some space and run the same command again: what was stored is kept",
        )
    return StoreError(f"{directory}: {error.strerror or error}", "check the path, its permissions and the disk")


def _make(directory: Path, journal: JournalKind) -> None:
    if any(directory.iterdir()):
        raise StoreError(f"{directory} is not empty and is not a store of this program", "choose another --workspace")
    try:
        write_atomic(directory / MARKER, marker_bytes(journal))
    except OSError as error:
        raise disk_error(error, directory) from error


def _read_marker(marker: Path) -> JournalKind:
    try:
        record = json.loads(marker.read_bytes())
        version, journal = record["format"], record.get("journal", "sqlite")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{marker} cannot be read: {error}", "move the store aside to start a new one") from error
    if version != FORMAT_VERSION:
        raise StoreError(f"the store has format {version}, this program writes format {FORMAT_VERSION}", _OTHER_RELEASE)
    if journal not in get_args(JournalKind):
        raise StoreError(f"the store has a journal {journal!r} that this program does not know", _OTHER_RELEASE)
    return cast(JournalKind, journal)
