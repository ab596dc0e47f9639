"""An engine's door in this process, and engines in processes of their own, which end with their test."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from medvlm_tui import __version__
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.service import address
from medvlm_tui.service.client import EngineClient
from medvlm_tui.service.connections import Door, Guest
from medvlm_tui.service.protocol import GREETING, PROTOCOL, Command, Hello


@pytest.fixture(autouse=True)
def short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that a test forgets leaves after five seconds."""
    monkeypatch.setenv("MEDVLM_ENGINE_IDLE_MINUTES", "0")
    monkeypatch.setenv("MEDVLM_CONFIG", "/nonexistent/settings.toml")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A workspace whose engine is gone after the test."""
    place = tmp_path / "ws"
    Workspace(place).make()
    yield place
    end_engine(place)


def end_engine(root: Path) -> None:
    """End the workspace's engine and its workers, if one is there."""
    found = address.read(root)
    if found is not None and is_engine(found.pid, root):
        os.killpg(found.pid, signal.SIGKILL)


def is_engine(pid: int, root: Path) -> bool:
    """Say whether a process is the engine of this workspace: tests write made-up addresses too."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"medvlm_tui.service.start_engine" in words and os.fsencode(root) in words and os.getsid(pid) == pid


class FakeEngine:
    """A door behind which nobody works: it notes commands and says what a test lets it say."""

    def __init__(self, root: Path, **hello: Any) -> None:
        self.root = root
        self.commands: list[Command] = []
        fields = {"greeting": GREETING, "protocol": PROTOCOL, "version": __version__, "pid": os.getpid(), **hello}
        self.hello = Hello(**fields)
        self.door = Door(address.socket_path(root), lambda: self.hello, self.handle)

    def handle(self, guest: Guest, command: Command) -> None:
        self.commands.append(command)
        if command["cmd"] == "watch":
            guest.watches = True
        if command["cmd"] == "quit":
            self.close()

    def close(self) -> None:
        self.door.close()
        (self.root / address.FILE).unlink(missing_ok=True)


@asynccontextmanager
async def fake_engine(root: Path, **hello: Any) -> AsyncIterator[FakeEngine]:
    engine = FakeEngine(root, **hello)
    await engine.door.open()
    address.write(root, address.here(engine.door.path))
    try:
        yield engine
    finally:
        engine.close()
        await until(lambda: not engine.door.guests)


async def until(true: Any, patience_s: float = 20.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(patience_s):
        while not true():
            await asyncio.sleep(0.01)


@dataclass(slots=True)
class Bare:
    """A connection without a client around it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    hello: dict[str, Any]

    async def record(self) -> dict[str, Any]:
        """Return the next thing that was said."""
        found: dict[str, Any] = json.loads(await asyncio.wait_for(self.reader.readline(), 20))
        return found

    async def message(self) -> str:
        """Return the text of the next log line."""
        return str((await self.record())["message"])


async def bare(root: Path, limit: int = 1 << 26) -> Bare:
    """Come in without a client."""
    found = address.read(root)
    assert found is not None
    reader, writer = await asyncio.open_unix_connection(found.socket, limit=limit)
    return Bare(reader, writer, json.loads(await reader.readline()))


async def watching(root: Path, engine: FakeEngine, limit: int = 1 << 26) -> Bare:
    """Come in and watch."""
    found = await bare(root, limit)
    before = len(engine.commands)
    found.writer.write(b'{"cmd": "watch"}\n')
    await until(lambda: len(engine.commands) > before)
    return found


async def connected(root: Path) -> EngineClient:
    """Return a client that has come in and watches."""
    client = EngineClient(root)
    assert await client.connect()
    await client.send({"cmd": "watch"})
    return client
