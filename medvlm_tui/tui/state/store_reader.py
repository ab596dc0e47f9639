"""Results out of the store, read in one thread of their own so that the screens stay quick."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from medvlm_tui.errors import MedvlmError, StoreError

if TYPE_CHECKING:
    from medvlm_tui.core.specs import FeatureTable
    from medvlm_tui.core.store.store import Store, Stored

R = TypeVar("R")
T = TypeVar("T")
# Results never change under their key, so what was read may be shown again; a probe of 1280 x 4 takes 0.2 MB.
KEPT = 32


class Results:
    """The store, opened read-only when the first result is asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._store: Store | None = None
        # SQLite's connection belongs to the thread that opened it: one thread reads everything.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="results")
        self._results: dict[str, Stored[Any]] = {}
        self._tables: dict[str, FeatureTable] = {}

    async def read(self, key: str, record: type[R]) -> Stored[R] | None:
        """Return a result whose record is of this class, None when it is not there; raises StoreError."""
        found = await self._read(self._results, key, lambda store: store.read(key, record))
        return cast("Stored[R] | None", found)

    async def read_record(self, key: str, record: type[R]) -> R | None:
        """Return only the record of a result, None when it is not there; raises StoreError."""
        return await self._read({}, key, lambda store: store.read_record(key, record))

    async def changing(self, key: str, record: type[R]) -> Stored[R] | None:
        """Return what lies under a key whose result is replaced as it grows; raises StoreError."""
        self._results.pop(key, None)
        found = await self.read(key, record)
        self._results.pop(key, None)
        return found

    async def table(self, key: str) -> FeatureTable | None:
        """Return a feature table, its matrix on disk, None when it is not there; raises StoreError."""
        return await self._read(self._tables, key, lambda store: store.tables.read(key))

    async def ask(self, read: Callable[[Store], T]) -> T | None:
        """Return what `read` makes of the store, in the thread that reads; raises MedvlmError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(self._guarded, read))

    def close(self) -> None:
        """End the thread; it holds nothing that needs saving."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _read(self, kept: dict[str, T], key: str, read: Callable[[Store], T | None]) -> T | None:
        if key not in kept:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._thread, partial(self._guarded, read))
            if found is None:
                return None
            while len(kept) >= KEPT:
                kept.pop(next(iter(kept)))
            kept[key] = found
        return kept[key]

    def _guarded(self, read: Callable[[Store], T | None]) -> T | None:
        """Read; an error nobody expected goes to a log, and costs this result instead of the screen."""
        try:
            return read(self._open())
        except MedvlmError:
            raise
        except Exception as error:
            log = self._directory.parent / "logs" / "tui.log"
            message = f"this result cannot be read: {type(error).__name__}: {error}"
            raise MedvlmError(message, _noted(log, error)) from error

    def _open(self) -> Store:
        if self._store is None:
            # diskcache and safetensors cost 60 ms: paid with the first result, not at the start.
            from medvlm_tui.core.store.store import Store

            self._store = Store(self._directory, read_only=True)
        return self._store


def _noted(log: Path, error: Exception) -> str:
    """Write a traceback to the log and return where it is."""
    from medvlm_tui.core.workspace.logs import note_defect

    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note_defect(log, error)
    except (OSError, StoreError) as refused:
        return f"the log cannot be written: {refused}"
    return f"the traceback is in {log}"
