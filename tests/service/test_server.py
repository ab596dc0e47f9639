"""The server with an engine that works by the test's word: runs, replays, refusals, leaving."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.core.events import Event
from medvlm_tui.core.workspace import run_journal
from medvlm_tui.core.workspace.run_journal import RunFile, Said
from medvlm_tui.core.workspace.workspace import Workspace, new_run_id
from medvlm_tui.errors import Cancelled, MedvlmError, StoreError
from medvlm_tui.service import address, engine_thread, server
from medvlm_tui.service.client import EngineClient
from medvlm_tui.service.server import Server
from medvlm_tui.stages.request import RunRequest
from tests.service.conftest import connected, until

STEP = "extract:m:d"
REQUEST = RunRequest(models=("m",), datasets=("d",), seed=7)


class Puppet:
    """An engine whose run says what the test puts into `script`: events, an error to raise, None for the end."""

    script: queue.Queue[Event | Exception | None]
    freed = 0
    closed = 0

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.thread = threading.get_ident()

    def survey(self, request: RunRequest) -> events.Survey:
        assert threading.get_ident() == self.thread
        if request.seed == 13:
            raise MedvlmError("no such thing", "try another")
        return events.Survey(device=f"cpu {request.seed}")

    def run(self, request: RunRequest, by: str, cancelled: Callable[[], bool], tell: Callable[[Said], None]) -> None:
        assert threading.get_ident() == self.thread
        directory = self.workspace.run_directory(new_run_id())
        with self.workspace.busy(by), RunFile(directory) as file:
            tell(file.append(events.RunAsked(file.run_id, request.to_record(), by)))
            while not cancelled():
                try:
                    word = self.script.get(timeout=0.01)
                except queue.Empty:
                    continue
                if isinstance(word, Exception):
                    raise word
                if word is None:
                    tell(file.append(events.RunFinished(file.run_id, 0, 1, 0, 0, 0, 1.0)))
                    return
                tell(file.append(word))
            error = Cancelled("cancelled before the run began", "again")
            tell(file.append(events.RunRefused(file.run_id, error.message, error.hint, 130)))
            raise error

    def free(self) -> None:
        type(self).freed += 1

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture(autouse=True)
def puppet(monkeypatch: pytest.MonkeyPatch) -> type[Puppet]:
    Puppet.script, Puppet.freed, Puppet.closed = queue.Queue(), 0, 0
    monkeypatch.setattr(engine_thread, "Engine", Puppet)
    monkeypatch.setattr(server, "Engine", Puppet)
    return Puppet


@asynccontextmanager
async def serving(root: Path, idle_s: float = 600.0) -> AsyncIterator[Server]:
    """A server in this process."""
    ready = asyncio.Event()
    behind = Server(Workspace(root), idle_s)
    task = asyncio.create_task(behind.serve(ready.set))
    await asyncio.wait_for(ready.wait(), 20)
    try:
        yield behind
    finally:
        behind.leave("the test ends")
        assert await asyncio.wait_for(task, 20) in (0, 130)
    assert Puppet.closed == 2
    assert address.read(root) is None
    assert not behind.door.path.exists()


class Front:
    """A client that has come in, and what it heard."""

    def __init__(self, client: EngineClient) -> None:
        self.client = client
        self.heard: list[Event] = []
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.client.events():
            self.heard.append(event)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.heard]

    async def hears(self, kind: str, times: int = 1) -> Event:
        await until(lambda: self.kinds().count(kind) >= times)
        return next(event for event in reversed(self.heard) if type(event).__name__ == kind)

    async def leave(self) -> None:
        await self.client.leave()
        await self._listening


async def front(root: Path) -> Front:
    come = Front(await connected(root))
    await come.hears("CaughtUp")
    return come


def run(request: RunRequest = REQUEST) -> dict[str, object]:
    return {"cmd": "run", "request": request.to_record()}


async def test_two_front_ends_see_one_run_and_a_late_one_sees_all_of_it(root: Path) -> None:
    async with serving(root):
        first, second = await front(root), await front(root)
        assert first.heard[0] == events.Attached("", False)
        await first.client.send(run())
        Puppet.script.put(events.StepStarted(STEP))
        for done in range(1, 201):
            Puppet.script.put(events.StepProgress(STEP, done, 400))
        await second.hears("StepProgress", 200)
        third = await front(root)
        Puppet.script.put(events.BlockStored(STEP, 200, "key"))
        Puppet.script.put(None)
        for each in (first, second, third):
            await each.hears("RunFinished")
        assert first.heard[2:] == second.heard[2:]
        assert isinstance(third.heard[0], events.Attached)
        assert third.heard[0].running
        asked = third.heard[1]
        assert isinstance(asked, events.RunAsked)
        assert RunRequest.from_record(dict(asked.request)) == REQUEST
        assert asked.at > 0
        # Of the progress only the last moments, and nothing twice.
        assert third.kinds().count("StepProgress") == run_journal.PROGRESS_KEPT
        assert third.kinds().count("BlockStored") == 1
        assert third.kinds()[-2:] == ["BlockStored", "RunFinished"]
        for each in (first, second, third):
            await each.leave()


async def test_a_run_goes_on_without_any_front_end(root: Path) -> None:
    async with serving(root) as behind:
        only = await front(root)
        await only.client.send(run())
        await only.hears("RunAsked")
        await only.leave()
        await until(lambda: not behind.door.guests)
        Puppet.script.put(events.StepStarted(STEP))
        Puppet.script.put(None)
        await until(lambda: behind._run is None)
        back = await front(root)
        assert back.kinds() == ["Attached", "RunAsked", "StepStarted", "RunFinished", "CaughtUp"]
        await back.leave()


async def test_cancel_reaches_a_run_and_all_hear_of_it(root: Path) -> None:
    async with serving(root):
        first, second = await front(root), await front(root)
        await first.client.send(run())
        await second.hears("RunAsked")
        await second.client.send({"cmd": "cancel"})
        refused = await first.hears("RunRefused")
        assert isinstance(refused, events.RunRefused)
        assert refused.exit_code == 130
        assert "CancelAsked" in second.kinds()
        await first.leave()
        await second.leave()


async def test_a_cancel_right_behind_a_run_command_is_never_lost(root: Path) -> None:
    async with serving(root) as behind:
        only = await front(root)
        for number in range(1, 21):
            await only.client.send(run())
            await only.client.send({"cmd": "cancel"})
            await only.hears("RunRefused", number)
            await until(lambda: behind._run is None)
        await only.leave()


async def test_a_second_run_is_refused_to_the_one_who_asked(root: Path) -> None:
    async with serving(root):
        first, second = await front(root), await front(root)
        await first.client.send(run())
        await second.hears("RunAsked")
        await second.client.send(run())
        refused = await second.hears("RunRefused")
        assert isinstance(refused, events.RunRefused)
        assert (refused.run_id, refused.error) == ("", "a run is under way")
        Puppet.script.put(None)
        await first.hears("RunFinished")
        assert "RunRefused" not in first.kinds()
        await first.leave()
        await second.leave()


async def test_a_batch_run_in_the_workspace_refuses_a_run(root: Path) -> None:
    async with serving(root):
        only = await front(root)
        with Workspace(root).busy("batch"):
            await only.client.send(run())
            refused = await only.hears("RunRefused")
        assert isinstance(refused, events.RunRefused)
        assert refused.exit_code == 4
        assert "a --batch run" in refused.error
        await only.leave()


@pytest.mark.parametrize(
    ("error", "words"), [(StoreError("the disk is full", "free some"), "the disk is full"), (ValueError("bug"), "bug")]
)
async def test_a_run_that_breaks_off_is_told_and_the_next_one_goes(root: Path, error: Exception, words: str) -> None:
    async with serving(root) as behind:
        only = await front(root)
        await only.client.send(run())
        Puppet.script.put(events.StepStarted(STEP))
        Puppet.script.put(error)
        refused = await only.hears("RunRefused")
        assert isinstance(refused, events.RunRefused)
        assert words in refused.error
        assert refused.run_id
        await until(lambda: behind._run is None)
        await only.client.send(run())
        Puppet.script.put(None)
        await only.hears("RunFinished")
        await only.leave()


async def test_one_can_look_around_while_a_run_is_under_way(root: Path) -> None:
    async with serving(root):
        first, second = await front(root), await front(root)
        await first.client.send(run())
        await first.hears("RunAsked")
        await second.client.send({"cmd": "survey", "request": RunRequest(seed=5).to_record()})
        survey = await second.hears("Survey")
        assert isinstance(survey, events.Survey)
        assert survey.device == "cpu 5"
        assert "Survey" not in first.kinds(), "an answer goes to the one who asked"
        await second.client.send({"cmd": "survey", "request": RunRequest(seed=13).to_record()})
        log = await second.hears("Log")
        assert log == events.Log("error", "no such thing\ntry another")
        await first.leave()
        await second.leave()


@pytest.mark.parametrize("command", [{"cmd": "dance"}, {}, {"cmd": "run", "request": {"of_tomorrow": 1}}])
async def test_what_is_not_understood_is_said(root: Path, command: dict[str, object]) -> None:
    async with serving(root):
        only = await front(root)
        await only.client.send(command)
        log = await only.hears("Log")
        assert isinstance(log, events.Log)
        assert "another release" in log.message
        await only.leave()


async def test_quit_is_for_idle_engines(root: Path) -> None:
    async with serving(root) as behind:
        only = await front(root)
        await only.client.send(run())
        await only.client.send({"cmd": "quit"})
        await only.client.send({"cmd": "survey", "request": {}})
        await only.hears("Survey")
        assert not behind._leaving.is_set()
        Puppet.script.put(None)
        await only.hears("RunFinished")
        await until(lambda: behind._run is None)
        await only.client.send({"cmd": "quit"})
        await only.leave()
        await until(behind._leaving.is_set)


async def test_an_engine_that_nobody_needs_leaves_and_a_needed_one_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LEAST_IDLE_S", 0.0)
    monkeypatch.setattr(server, "TICK_S", 0.05)
    async with serving(root, idle_s=2.0) as behind:
        only = await front(root)
        await only.client.send(run())
        await only.hears("RunAsked")
        await only.leave()
        await asyncio.sleep(2.5)
        assert not behind._leaving.is_set(), "a run is under way"
        Puppet.script.put(None)
        await until(behind._leaving.is_set)


async def test_the_worker_is_freed_some_time_after_a_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.05)
    monkeypatch.setattr(server, "WORKER_IDLE_S", 0.2)
    async with serving(root):
        only = await front(root)
        await asyncio.sleep(0.4)
        assert Puppet.freed == 0
        await only.client.send(run())
        Puppet.script.put(None)
        await until(lambda: Puppet.freed == 1)
        await only.leave()


async def test_an_engine_whose_workspace_is_gone_leaves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.05)
    async with serving(root) as behind:
        (root / address.FILE).unlink()
        await until(behind._leaving.is_set)


async def test_a_run_that_was_killed_is_shown_as_it_was(root: Path) -> None:
    with RunFile(Workspace(root).run_directory("20260101-000000-dead")) as file:
        file.append(events.RunAsked(file.run_id, REQUEST.to_record(), "engine"))
        file.append(events.StepStarted(STEP))
    with open(file.path, "a") as torn:
        torn.write('{"type": "StepProg')
    async with serving(root):
        only = await front(root)
        assert only.kinds() == ["Attached", "RunAsked", "StepStarted", "CaughtUp"]
        assert only.heard[-1] == events.CaughtUp("20260101-000000-dead", False)
        await only.leave()


@pytest.mark.parametrize("killed", [False, True])
async def test_a_batch_run_is_followed_from_its_file(root: Path, monkeypatch: pytest.MonkeyPatch, killed: bool) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.05)
    monkeypatch.setattr(server, "FOLLOW_S", 0.05)
    async with serving(root):
        early = await front(root)
        with Workspace(root).busy("batch"), RunFile(Workspace(root).run_directory("20260101-000000-bbbb")) as file:
            file.append(events.RunAsked(file.run_id, REQUEST.to_record(), "batch"))
            file.append(events.StepStarted(STEP))
            await early.hears("StepStarted")
            late = await front(root)
            assert late.heard[-1] == events.CaughtUp(file.run_id, True)
            file.append(events.BlockStored(STEP, 256, "key"))
            await late.hears("BlockStored")
            if not killed:
                file.append(events.RunFinished(file.run_id, 0, 1, 0, 0, 0, 1.0))
        for each in (early, late):
            await each.hears("CaughtUp", 2) if killed else await each.hears("RunFinished")
            assert each.kinds().count("StepStarted") == each.kinds().count("BlockStored") == 1
            await each.leave()
