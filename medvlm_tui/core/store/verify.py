"""Reading every stored byte (`store verify`) and removing what killed writers left behind (`store scrub`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medvlm_tui.core import checked_json
from medvlm_tui.core.atomic_files import TEMPORARY
from medvlm_tui.core.store import directory as store_format
from medvlm_tui.core.store import value_file
from medvlm_tui.core.store.journal import Damage
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import CorruptEntryError

# Age below which a temporary file may still be written, on file systems whose locks cannot be trusted.
NETWORK_MIN_AGE_S = 24 * 3600


@dataclass(slots=True)
class Scrubbed:
    """Counts of what a scrub did."""

    removed: list[Path] = field(default_factory=list)
    freed_bytes: int = 0
    adopted: int = 0
    """Whole values that the index did not name (their writer died between file and row): indexed again."""


def verify(store: Store) -> Iterator[Damage]:
    """Yield everything in the store that is not as it was written; raises StoreError when the index is unreadable."""
    marker = store.directory / store_format.MARKER
    if marker.read_bytes() != store_format.marker_bytes(store.kind):
        yield Damage(store_format.MARKER, "it is not as this release writes it")
    for table in (store.directory / "file_digests.json", store.directory / "measured.json"):
        if not table.exists():
            continue
        try:
            checked_json.load(table.read_bytes(), table.name)
        except CorruptEntryError as error:
            yield Damage(table.name, error.message)
    yield from store.journal.damages()
    yield from store.tables.damages()


def forget(store: Store, damages: list[Damage]) -> int:
    """Make damaged entries absent so that the next run computes them again; returns how many were named."""
    count = 0
    for damage in damages:
        if damage.where.startswith("sealed/") and damage.key:
            store.tables.set_aside(damage.key)
        elif damage.key:
            store.discard(damage.key)
        else:
            continue
        count += 1
    return count


def scrub(store: Store) -> Scrubbed:
    """Remove orphans and temporary files, alone: a write under way ends first, a new one waits."""
    done = Scrubbed()
    try:
        with store.lock.alone():
            # Only now is every file of a finished write named by the index.
            strays = (*store.journal.strays(), *store.tables.strays(), *sorted(store.directory.glob(f".*{TEMPORARY}")))
            for path in strays:
                _remove(store, path, done)
    except OSError as error:
        raise store_format.disk_error(error, store.directory) from error
    return done


def _remove(store: Store, path: Path, done: Scrubbed) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return  # without locks a writer may have renamed its temporary file meanwhile
    if store.kind == "files" and time.time() - status.st_mtime < NETWORK_MIN_AGE_S:
        return
    done.adopted += _adopt(store, path)
    path.unlink(missing_ok=True)
    done.freed_bytes += status.st_size
    done.removed.append(path)


def _adopt(store: Store, path: Path) -> bool:
    """Index a whole value that no row names; the file itself becomes superfluous, as `add` writes its own."""
    if path.suffix != ".val":
        return False
    try:
        key, body = value_file.read(path)
    except CorruptEntryError:
        return False
    return store.journal.add(key, body)
