"""An engine in a thread of its own: a store belongs to the thread that opened it, and the door must never wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.service.engine import Engine

Answer = TypeVar("Answer")


class EngineThread:
    """Does one job after the other."""

    def __init__(self, name: str, workspace: Workspace) -> None:
        self._workspace = workspace
        self._pool = ThreadPoolExecutor(1, name)
        self._engine: Engine | None = None

    async def open(self) -> None:
        """Open the workspace's store; raises StoreError when it refuses."""
        await self._in_thread(self._open)

    async def do(self, job: Callable[[Engine], Answer]) -> Answer:
        """Return what `job` makes of the engine, or raise what it raises."""
        return await self._in_thread(lambda: job(self._opened()))

    async def close(self, patience_s: float) -> bool:
        """Close the engine; returns False when its thread did not come to an end in time."""
        try:
            await asyncio.wait_for(self._in_thread(self._close), patience_s)
        except TimeoutError:
            return False
        self._pool.shutdown(wait=False)
        return True

    async def _in_thread(self, call: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def _open(self) -> None:
        self._engine = Engine(self._workspace)

    def _opened(self) -> Engine:
        assert self._engine is not None, "open() comes first"
        return self._engine

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
