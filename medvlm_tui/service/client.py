"""Client of a workspace's engine: finds its socket or starts it, and exchanges JSON lines with it.

Imports neither the engine's code nor any screen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from medvlm_tui.core.events import Event, Log, from_line
from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.service import address
from medvlm_tui.service.launcher import Launcher
from medvlm_tui.service.protocol import LINE_LIMIT_BYTES, Command, Hello, command_line, is_own_peer, read_hello
from medvlm_tui.version import VERSION

# Starting imports some modules; a loaded machine takes its time.
START_PATIENCE_S = 60.0
# An engine that was replaced, or that could not keep a stopped front end, is found again within this time.
AGAIN_PATIENCE_S = 3.0
HELLO_PATIENCE_S = 20.0
_POLL_S = 0.05


class EngineStoppedError(MedvlmError):
    """No engine is there, or it ended by itself."""


class Client(Protocol):
    """One engine, as a front end sees it."""

    async def start(self) -> None:
        """Find the engine or start it, and watch it; raises EngineStoppedError when neither is possible."""

    async def send(self, command: Command) -> None:
        """Send one command; raises EngineStoppedError when nobody listens."""

    def events(self) -> AsyncIterator[Event]:
        """Yield what the engine says; raises EngineStoppedError when it ends by itself, returns after `leave`."""

    async def leave(self) -> None:
        """Go away; the engine and its run go on."""


class EngineClient:
    """The engine of one workspace."""

    def __init__(self, workspace: Path, command: Sequence[str] = ()) -> None:
        """`command` replaces the one that starts an engine (tests)."""
        self.workspace = workspace
        self.log_path = workspace / "logs" / "engine.log"
        self.hello = Hello()
        self._launcher = Launcher(workspace, self.log_path, command)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._leaving = False

    async def start(self) -> None:
        """Find the engine or start one, and watch it; raises EngineStoppedError, or the MedvlmError it failed with."""
        self._leaving = False
        if await self.connect() and not self._fits():
            await self._send_away()
        if self._writer is None:
            await self._launch()
        await self.send({"cmd": "watch"})

    async def connect(self) -> bool:
        """Go to the engine that the workspace names; returns False when there is none (any more)."""
        self._close()
        found = address.read(self.workspace)
        if found is None:
            return False
        if found.host != address.here(Path(found.socket)).host and not Path(found.socket).exists():
            raise EngineStoppedError(
                f"the engine of {self.workspace} runs on {found.host}", f"go there: ssh {found.host} medvlm-tui attach"
            )
        try:
            reader, writer = await asyncio.open_unix_connection(found.socket, limit=LINE_LIMIT_BYTES)
        except OSError:
            return False  # the engine was killed: its address is left
        if not is_own_peer(writer.get_extra_info("socket")):
            writer.close()
            raise EngineStoppedError(f"another user listens at {found.socket}", f"remove {self.workspace}/engine.json")
        try:
            hello = read_hello(await asyncio.wait_for(_line(reader), HELLO_PATIENCE_S))
        except TimeoutError as error:
            writer.close()
            raise EngineStoppedError("the engine does not answer", f"kill {found.pid}; then start again") from error
        if hello is None:
            writer.close()
            return False  # it was just leaving
        self.hello, self._reader, self._writer = hello, reader, writer
        return True

    async def send(self, command: Command) -> None:
        """Send one command; raises EngineStoppedError when the engine is gone."""
        writer = self._writer
        if writer is None or writer.is_closing():
            raise self._stopped()
        try:
            writer.write(command_line(command))
            await writer.drain()
        except OSError as error:
            raise self._stopped() from error

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until the engine ends; a line that is no event becomes a warning."""
        if self._reader is None:
            raise self._stopped()
        if others := self.hello.differing() if self.hello.busy else []:
            words = f"the engine was started with another {', '.join(others)}: yours holds from its next start"
            yield Log("warning", words)
        while True:
            while line := await _line(self._reader):
                yield from_line(line.decode("utf-8", "replace"))
            if self._leaving:
                return
            if not await self._again():
                raise self._stopped()

    async def leave(self) -> None:
        """Close the connection."""
        self._leaving = True
        self._close()

    def _fits(self) -> bool:
        """Return whether this engine can be used; raises EngineStoppedError if it can be neither used nor replaced."""
        if self.hello.is_ours:
            # Variables that were set since (a token) hold for a new engine only; a busy one is not disturbed.
            return self.hello.busy or self.hello.others > 0 or not self.hello.differing()
        if self.hello.busy:
            raise EngineStoppedError(
                f"the engine of this workspace is of release {clean(self.hello.version)} (this is {VERSION})"
                " and has a run under way",
                "wait for its end, or `medvlm-tui cancel`; then start again",
            )
        return False

    async def _send_away(self) -> None:
        """Ask an idle engine to leave, and wait until it has closed its door."""
        await self.send({"cmd": "quit"})
        assert self._reader is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_PATIENCE_S):
                while await _line(self._reader):
                    continue
        self._close()

    async def _launch(self) -> None:
        """Start an engine and go to it; of two that start one at once, both find the one that was quicker."""
        async with self._launcher:
            try:
                async with asyncio.timeout(START_PATIENCE_S):
                    while not await self.connect() or not self.hello.is_ours:
                        await self._launcher.ensure_running()
                        await asyncio.sleep(_POLL_S)
            except TimeoutError as error:
                hint = last_lines(self.log_path)
                raise EngineStoppedError("the engine did not start in time", hint) from error

    async def _again(self) -> bool:
        """Go back to an engine that lives on, or that took the place of the one that went."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_PATIENCE_S):
                while not await self.connect():
                    await asyncio.sleep(_POLL_S)
                await self.send({"cmd": "watch"})
                return self.hello.is_ours
        return False

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _stopped(self) -> EngineStoppedError:
        how = f"stopped by itself (process {self.hello.pid})" if self.hello.pid else "has not been started"
        return EngineStoppedError(f"the engine {how}", last_lines(self.log_path))


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, nothing at the end."""
    try:
        return await reader.readline()
    except OSError:
        return b""


def last_lines(path: Path, count: int = 6) -> str:
    """Return the last lines of a log, made safe to show, after its path."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            tail = file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        tail = []
    return "\n".join([f"log: {clean(str(path))}", *map(clean, tail)])
