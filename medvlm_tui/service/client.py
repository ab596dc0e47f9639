"""What a front end holds: an engine in a process of its own, spoken to in JSON lines on its pipes.

Knows neither the engine's code nor any screen.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from medvlm_tui.core.events import Event, Log, from_json
from medvlm_tui.core.text import clean
from medvlm_tui.errors import MedvlmError

# A survey of every model times every dataset is one line of some 200 kB; asyncio's own limit is 64 kB.
LINE_LIMIT_BYTES = 64 << 20
GRACE_S = 2.0
# Libraries that draw progress bars or ask terminals would only fill the log.
_QUIET = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}

Command = Mapping[str, Any]
"""`{"cmd": "survey" | "plan" | "run", "request": RunRequest.to_record()}`, `{"cmd": "cancel"}`, `{"cmd": "quit"}`."""


class EngineStoppedError(MedvlmError):
    """The engine's process ended without having been asked to."""


class Client(Protocol):
    """One engine, as a front end sees it."""

    async def start(self) -> None:
        """Start the engine; raises EngineStoppedError when it cannot be started."""

    async def send(self, command: Command) -> None:
        """Send one command; raises EngineStoppedError when nobody listens."""

    def events(self) -> AsyncIterator[Event]:
        """Yield what the engine says; raises EngineStoppedError when it ends by itself, returns after `stop`."""

    async def stop(self) -> None:
        """Ask the engine to quit, and end it after a grace of 2 s."""


class EngineClient:
    """An engine started as a child process for one workspace."""

    def __init__(self, workspace: Path, command: Sequence[str] | None = None) -> None:
        """`command` replaces the engine's own command line (tests)."""
        self.workspace = workspace
        self.log_path = workspace / "logs" / "engine.log"
        self._command = list(command or [sys.executable, "-m", "medvlm_tui.service.server"])
        self._command += ["--workspace", str(workspace)]
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def start(self) -> None:
        """Start the child in a session of its own, so that the terminal's signals never reach it."""
        self._stopping = False
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.log_path, "ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, **_QUIET},
                    limit=LINE_LIMIT_BYTES,
                    start_new_session=True,
                )
        except OSError as error:
            raise EngineStoppedError(
                f"the engine could not be started: {error}", "check the workspace's path"
            ) from error

    async def send(self, command: Command) -> None:
        """Send one command; raises EngineStoppedError when the engine is gone."""
        pipe = self._process.stdin if self._process else None
        if pipe is None or pipe.is_closing():
            raise self._stopped()
        try:
            pipe.write(json.dumps(command).encode() + b"\n")
            await pipe.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._stopped() from error

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until the engine ends; a line that is no event becomes a warning."""
        process = self._process
        if process is None or process.stdout is None:
            raise self._stopped()
        while line := await process.stdout.readline():
            yield parse(line)
        await process.wait()
        if not self._stopping:
            raise self._stopped()

    async def stop(self) -> None:
        """Ask the engine to quit; after 2 s end it, with every process it started."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            await self.send({"cmd": "quit"})
            await asyncio.wait_for(process.wait(), GRACE_S)
        except (EngineStoppedError, TimeoutError):
            self._kill(process)
            await process.wait()

    def _kill(self, process: asyncio.subprocess.Process) -> None:
        """Kill the child's whole session: its workers hold devices and would outlive it."""
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            return

    def _stopped(self) -> EngineStoppedError:
        code = self._process.returncode if self._process else None
        how = "has not been started" if self._process is None else f"stopped by itself (exit status {code})"
        return EngineStoppedError(f"the engine {how}", last_lines(self.log_path))


def parse(line: bytes) -> Event:
    """Return the event of a line; a line that is none becomes a warning, so that it costs only itself."""
    try:
        return from_json(line.decode("utf-8", "replace"))
    except (ValueError, TypeError, AttributeError) as error:
        return Log("warning", clean(f"the engine said something unknown: {error}"))


def last_lines(path: Path, count: int = 6) -> str:
    """Return the last lines of a log, made safe to show, after its path."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            tail = file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        tail = []
    return "\n".join([f"log: {clean(str(path))}", *map(clean, tail)])
