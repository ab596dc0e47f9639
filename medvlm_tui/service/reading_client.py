"""Client of a workspace that cannot be written: its results are read by a process of this front end alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from medvlm_tui.core.events import Event, from_line
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import MedvlmError
from medvlm_tui.service.client import Client, EngineClient, EngineStoppedError
from medvlm_tui.service.protocol import LINE_LIMIT_BYTES, Command, command_line


def client_of(workspace: Path) -> Client:
    """Return the client of a workspace's engine, or one that reads where nothing can be written."""
    return ReadingClient(workspace) if Workspace(workspace).is_read_only else EngineClient(workspace)


class ReadingClient:
    """Looks at one workspace; nothing can run in it."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self._process: asyncio.subprocess.Process | None = None
        self._leaving = False

    async def start(self) -> None:
        """Start the reading process; raises the MedvlmError that it failed with."""
        self._leaving = False
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "medvlm_tui.service.reading", "--workspace", str(self.workspace)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            limit=LINE_LIMIT_BYTES,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        said = json.loads(await self._process.stdout.readline() or b"{}")
        if said:
            await self._process.communicate()
            raise MedvlmError(str(said["message"]), str(said["hint"]))
        await self.send({"cmd": "watch"})

    async def send(self, command: Command) -> None:
        """Send one command; raises EngineStoppedError when the process is gone."""
        process = self._process
        if process is None or process.stdin is None:
            raise self._stopped()
        try:
            process.stdin.write(command_line(command))
            await process.stdin.drain()
        except OSError as error:
            raise self._stopped() from error

    async def events(self) -> AsyncIterator[Event]:
        """Yield what the process says; raises EngineStoppedError when it ends by itself, returns after `leave`."""
        if self._process is None or self._process.stdout is None:
            raise self._stopped()
        while line := await self._process.stdout.readline():
            yield from_line(line.decode("utf-8", "replace"))
        await self._process.wait()
        if not self._leaving:
            raise self._stopped()

    async def leave(self) -> None:
        """End the process; it keeps nothing."""
        self._leaving = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _stopped(self) -> EngineStoppedError:
        return EngineStoppedError(f"the process that reads {self.workspace} ended", "r starts another one")
