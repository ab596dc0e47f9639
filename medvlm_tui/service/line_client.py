"""A process of the screens' own that answers JSON lines, started with the first question.

Knows neither the engine's code nor any screen.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from medvlm_tui.core.atomic_files import open_own
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ImageError

_LINE_BYTES = 4 << 20


class LineClient:
    """Asks one process; several questions may be under way."""

    def __init__(self, workspace: Path, name: str, what: str, command: Sequence[str] | None = None) -> None:
        """`name` is the module of `medvlm_tui.service` that answers, `what` the process in words; `command` replaces
        its command line (tests)."""
        self._what, self._log = what, workspace / "logs" / f"{name}.log"
        self._command = list(command or [sys.executable, "-m", f"medvlm_tui.service.{name}"])
        self._command += ["--workspace", str(workspace)]
        self._reads_only = Workspace(workspace).is_read_only
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}

    async def stop(self) -> None:
        """End the process; it keeps nothing."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._listener is not None:
            await self._listener

    async def ask(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer to one question; raises ImageError with the reason where it is an error."""
        process = await self._running()
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"number": number, **asked}).encode() + b"\n")
            await process.stdin.drain()
            answer = await self._waiting[number]
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._ended() from error
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise ImageError(str(answer["error"]), str(answer.get("hint", "")))
        return answer

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                self._process = await self._start()
                self._listener = asyncio.create_task(self._listen(self._process))
            return self._process

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            with os.fdopen(self._descriptor(), "wb") as log:
                return await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    limit=_LINE_BYTES,
                    start_new_session=True,
                )
        except OSError as error:
            raise ImageError(f"{self._what} does not start: {error}", "check the workspace's path") from error

    def _descriptor(self) -> int:
        """Return where the process writes what went wrong: nowhere in a workspace that can only be read."""
        if self._reads_only:
            return os.open(os.devnull, os.O_WRONLY)
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_own(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answer = json.loads(line)
            future = self._waiting.get(answer.get("number"))
            if future is not None and not future.done():
                future.set_result(answer)
        await process.wait()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._ended())

    def _ended(self) -> ImageError:
        return ImageError(f"{self._what} ended", f"its last words are in {self._log}")
