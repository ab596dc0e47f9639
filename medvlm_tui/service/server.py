"""The engine's process: one for each workspace, reached through its socket; it outlives every front end."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from medvlm_tui.core.events import (
    Attached,
    CancelAsked,
    CaughtUp,
    Event,
    Log,
    PlanReady,
    RunAsked,
    RunFinished,
    RunRefused,
    from_line,
    to_json,
)
from medvlm_tui.core.secrets import redact
from medvlm_tui.core.workspace import run_journal
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ExitCode, MedvlmError, UsageError
from medvlm_tui.service import address
from medvlm_tui.service.connections import Door, Guest
from medvlm_tui.service.engine import Engine
from medvlm_tui.service.engine_thread import EngineThread
from medvlm_tui.service.protocol import GREETING, PROTOCOL, Command, Hello, surroundings
from medvlm_tui.service.run_queue import RunQueue
from medvlm_tui.settings.options import read_request
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.version import VERSION

# A worker holds a device; starting another costs some seconds.
WORKER_IDLE_S = 60.0
TICK_S = 1.0
FOLLOW_S = 0.3
# A front end that has just started the engine needs a moment to come in.
_LEAST_IDLE_S = 5.0
# A step that is cancelled ends within a second; a thread that hangs in a foreign file system ends with the process.
_PATIENCE_S = 4.0
_log = logging.getLogger(__name__)


class Server:
    """Takes commands at the door; runs in one thread, looks around in another."""

    def __init__(self, workspace: Workspace, idle_s: float) -> None:
        self.workspace = workspace
        self._idle_s = max(idle_s, _LEAST_IDLE_S)
        self._salt = secrets.token_hex(8)
        self.door = Door(address.socket_path(workspace.root), self._hello, self._handle)
        self._runs, self._looks = EngineThread("runs", workspace), EngineThread("looks", workspace)
        self._queue = RunQueue(workspace.root)
        self._run: threading.Event | None = None
        """Set to cancel the run under way; None while there is none."""
        self._run_id, self._ended = "", True
        self._follows = False
        """Return whether a --batch run is being followed."""
        self._looks_for = 0
        """Number of the last search for data folders: a newer one ends those before it."""
        self._leaving = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._worker_since = 0.0
        """When the last run ended whose worker may still hold a device; 0 when there is none."""

    async def serve(self, ready: Callable[[], None]) -> int:
        """Serve until nobody needs the engine any more; raises MedvlmError when it cannot begin."""
        await self._runs.open()  # first one alone: it makes the store where there is none
        await self._looks.open()
        await self.door.open()
        address.write(self.workspace.root, self._own_address)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._signalled, number)
        ready()
        _log.info("engine %s listens at %s", VERSION, self.door.path)
        await self._until_leaving()
        return await self._end()

    # -- coming and going --------------------------------------------------------------------------

    async def _until_leaving(self) -> None:
        needed = time.monotonic()
        while not self._leaving.is_set():
            try:
                await asyncio.wait_for(self._leaving.wait(), TICK_S)
            except TimeoutError:
                now = time.monotonic()
            else:
                return
            self._start_next()
            if self._run is not None or self.door.guests:
                needed = now
            if now - needed > self._idle_s:
                self.leave("nobody needs it")
            elif self._run is None and address.read(self.workspace.root) != self._own_address:
                self.leave("the workspace is no longer its own")
            await self._free_worker(now)
            self._follow_batch()

    async def _free_worker(self, now: float) -> None:
        if self._worker_since and self._run is None and now - self._worker_since > WORKER_IDLE_S:
            self._worker_since = 0.0
            await self._runs.do(Engine.free)

    @property
    def _own_address(self) -> address.Address:
        return address.here(self.door.path)

    def leave(self, reason: str) -> None:
        """Come to an end; a run under way is cancelled, what it computed is stored."""
        _log.info("the engine leaves: %s", reason)
        self._tell_all(Log("warning", f"the engine leaves: {reason}"))
        if self._run is not None:
            self._run.set()
        self._leaving.set()

    def _signalled(self, number: int) -> None:
        if self._leaving.is_set():
            for child in multiprocessing.active_children():
                child.kill()
            os._exit(ExitCode.INTERRUPTED)
        self.leave(f"it was sent {signal.Signals(number).name}")

    async def _end(self) -> int:
        interrupted = self._run is not None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PATIENCE_S)
        self.door.close()
        if address.read(self.workspace.root) == self._own_address:
            (self.workspace.root / address.FILE).unlink(missing_ok=True)
        ended = await asyncio.gather(self._runs.close(_PATIENCE_S), self._looks.close(_PATIENCE_S))
        if not all(ended):
            _log.error("a thread did not end: the process ends without it")
            os._exit(ExitCode.INTERRUPTED)
        return int(ExitCode.INTERRUPTED if interrupted else ExitCode.OK)

    # -- commands ----------------------------------------------------------------------------------

    def _hello(self) -> Hello:
        busy, others = self._run is not None, len(self.door.guests)
        return Hello(
            GREETING, PROTOCOL, VERSION, os.getpid(), busy, others, self._salt, surroundings(self._salt)
        )  # fmt: skip

    def _handle(self, guest: Guest, command: Command) -> None:
        try:
            self._obey(guest, command)
        except (TypeError, ValueError, UsageError) as error:
            _say(guest, Log("error", f"the engine does not understand: {error}\nis it of another release?"))

    def _obey(self, guest: Guest, command: Command) -> None:
        match command.get("cmd"):
            case "watch":
                self._show_last_run(guest)
            case "survey":
                self._start(self._answer(guest, lambda engine: engine.survey(_request(command))))
            case "plan":
                self._start(self._answer(guest, lambda engine: _planned(engine, command)))
            case "look":
                self._looks_for += 1
                number, path = self._looks_for, Path(str(command.get("path")))
                self._start(self._answer(guest, lambda engine: engine.look(path, lambda: number != self._looks_for)))
            case "run":
                self._begin(guest, _request(command))
            case "queue":
                self._change_queue(guest, command)
            case "cancel":
                if self._run is not None:
                    self._run.set()
                    self._tell_all(CancelAsked(self._run_id))
            case "quit":
                if self._run is None:
                    self.leave("a front end asked it to")
            case other:
                raise ValueError(f"the command {other!r}")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, guest: Guest, look: Callable[[Engine], Event]) -> None:
        try:
            _say(guest, await self._looks.do(look))
        except MedvlmError as error:
            _say(guest, Log("error", f"{error.message}\n{error.hint}".strip()))
        except Exception as error:
            _log.exception("looking around")
            _say(guest, Log("error", f"{type(error).__name__}: {error}\nthe traceback is in engine.log"))

    # -- runs --------------------------------------------------------------------------------------

    def _show_last_run(self, guest: Guest) -> None:
        guest.watches = True
        own = self._run is not None and not self._ended
        running = own or (self._run is None and self.workspace.holder() is not None)
        directory = self.workspace.run_directory(self._run_id)
        path = directory / run_journal.FILE if own else run_journal.last_run(self.workspace.runs)
        run_id = path.parent.name if path is not None else ""
        lines = run_journal.whole_lines(path)[0] if path is not None else []
        _say(guest, Attached(run_id, running))
        for line in run_journal.without_old_progress(lines):
            guest.send(line)
        guest.has_heard(run_id, len(lines))
        _say(guest, CaughtUp(run_id, running))
        if self._queue.waiting:
            _say(guest, self._queue.told())

    def _follow_batch(self) -> None:
        """Show a --batch run of the workspace as well as one's own."""
        holder = self.workspace.holder() if self._run is None and not self._follows else None
        path = run_journal.last_run(self.workspace.runs) if holder is not None and holder.by == "batch" else None
        if path is not None:
            self._follows = True
            self._start(self._follow(path))

    async def _follow(self, path: Path) -> None:
        number, end, event = 0, 0, None
        while not self._leaving.is_set():
            over = self.workspace.holder() is None
            lines, end = run_journal.whole_lines(path, end)
            for line in lines:
                event = from_line(line)
                self.door.tell_said(run_journal.Said(path.parent.name, number, event, line))
                number += 1
            if over:
                break
            await asyncio.sleep(FOLLOW_S)
        if not isinstance(event, RunFinished | RunRefused):
            self._tell_all(CaughtUp(path.parent.name, running=False))
        self._follows = False

    def _change_queue(self, guest: Guest, command: Command) -> None:
        """Do what a front end asks of the runs that wait, and tell all."""
        name = str(command.get("id", ""))
        try:
            match command.get("do"):
                case "add":
                    self._queue.add(_request(command).to_record())
                case "drop":
                    self._queue.drop(name)
                case "move":
                    self._queue.move(name, int(command.get("step", 0)))
                case "pause" | "resume" as word:
                    self._queue.paused = word == "pause"
                case other:
                    raise ValueError(f"the queue's {other!r}")
        except MedvlmError as error:
            _say(guest, Log("error", f"{error.message}\n{error.hint}"))
        self._tell_all(self._queue.told())
        self._start_next()

    def _start_next(self) -> None:
        """Start the run whose turn it is, unless one is under way here or elsewhere in the workspace."""
        if self._run is not None or self._leaving.is_set() or self._queue.paused or not self._queue.waiting:
            return
        if self.workspace.holder() is not None:
            return
        try:
            first = self._queue.take()
            request = None if first is None else RunRequest.from_record(first.request)
        except (MedvlmError, TypeError, ValueError, KeyError) as error:
            # The disk refuses, or another release asked: nothing more starts by itself.
            self._queue.paused, request = True, None
            self._tell_all(Log("error", f"the next run of the queue cannot start: {error}"))
        self._tell_all(self._queue.told())
        if request is not None:
            self._begin(None, request)

    def _begin(self, guest: Guest | None, request: RunRequest) -> None:
        if guest is not None and (self._run is not None or self._leaving.is_set()):
            _say(guest, RunRefused("", "a run is under way", "F3 shows it", int(ExitCode.STORE_REFUSED)))
            return
        self._run = threading.Event()
        self._run_id, self._ended = "", True
        self._start(self._work(guest, request, self._run))

    async def _work(self, guest: Guest | None, request: RunRequest, cancel: threading.Event) -> None:
        loop = asyncio.get_running_loop()

        def tell(said: run_journal.Said) -> None:
            loop.call_soon_threadsafe(self._said, said)

        try:
            await self._runs.do(lambda engine: engine.run(request, "engine", cancel.is_set, tell))
        except MedvlmError as error:
            self._broken(guest, error)
        except Exception as error:
            _log.exception("run %s", self._run_id)
            self._broken(guest, MedvlmError(f"{type(error).__name__}: {error}", "the traceback is in engine.log"))
        finally:
            self._run, self._worker_since = None, time.monotonic()
            self._start_next()

    def _said(self, said: run_journal.Said) -> None:
        if isinstance(said.event, RunAsked):
            self._run_id = said.run_id
        self._ended = isinstance(said.event, RunFinished | RunRefused)
        self.door.tell_said(said)

    def _broken(self, guest: Guest | None, error: MedvlmError) -> None:
        """Tell why a run did not begin (to the one who asked) or does not go on (to all), unless it was told."""
        event = RunRefused(self._run_id, error.message, error.hint, int(error.exit_code))
        if not self._run_id and guest is not None:
            _say(guest, event)
        elif not self._run_id:
            self._tell_all(event)
        elif not self._ended:
            self._ended = True
            self._tell_all(event)

    def _tell_all(self, event: Event) -> None:
        self.door.tell(redact(to_json(event)))


def _say(guest: Guest, event: Event) -> None:
    guest.send(redact(to_json(event)))


def _planned(engine: Engine, command: Command) -> PlanReady:
    return PlanReady("", engine.plan(_request(command)).plan.to_record(), str(command.get("asked", "")))


def _request(command: Command) -> RunRequest:
    return read_request(dict(command.get("request", {})))
