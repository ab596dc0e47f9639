"""The runs that wait: kept on disk, in their order, started one after the other, seen by every front end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.errors import UsageError
from medvlm_tui.service.client import EngineClient
from medvlm_tui.service.run_queue import FILE, MOST, RunQueue
from medvlm_tui.stages.request import RunRequest
from tests.service.conftest import connected, until
from tests.service.test_server import Puppet, puppet, serving  # noqa: F401 (a fixture)


@asynccontextmanager
async def watching(root: Path) -> AsyncIterator[tuple[EngineClient, list[events.Event]]]:
    """A front end and everything that it has heard."""
    client, said = await connected(root), []

    async def listen() -> None:
        async for event in client.events():
            said.append(event)

    task = asyncio.create_task(listen())
    try:
        yield client, said
    finally:
        task.cancel()
        await client.leave()


def seeds(queue: RunQueue) -> list[int]:
    return [one.request["seed"] for one in queue.waiting]


def record(seed: int) -> dict:
    return RunRequest(seed=seed).to_record()


def test_the_queue_keeps_its_order_and_is_bounded(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    assert queue.take() is None
    for seed in range(4):
        queue.add(record(seed))
    ids = [one.id for one in queue.waiting]
    queue.move(ids[3], -2)
    assert seeds(queue) == [0, 3, 1, 2]
    queue.move(ids[0], 99)
    queue.move("none", 1)
    queue.drop(ids[1])
    queue.drop("none")
    assert seeds(queue) == [3, 2, 0]
    assert queue.take().request["seed"] == 3
    again = RunQueue(tmp_path)
    assert seeds(again) == [2, 0]
    assert again.paused, "what an earlier engine left starts when somebody says so"
    assert again.take() is None
    again.paused = False
    assert again.take().request["seed"] == 2
    for seed in range(MOST - 1):
        again.add(record(seed))
    with pytest.raises(UsageError, match="runs wait already"):
        again.add(record(1))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[3]", '[{"id": 1}]', "[" * 100_000])
def test_a_damaged_file_is_an_empty_queue(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert RunQueue(tmp_path).waiting == []


def test_no_secret_lies_in_the_file(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    queue.add(RunRequest(weights={"m": "hf_" + "a" * 34}).to_record())
    assert "hf_aaaa" not in (tmp_path / FILE).read_text()


async def test_runs_wait_start_one_after_the_other_and_are_seen_by_who_comes_later(root: Path) -> None:
    async with serving(root) as behind, watching(root) as (client, said):
        await client.send({"cmd": "run", "request": record(1)})
        await until(lambda: any(isinstance(one, events.RunAsked) for one in said))
        for seed in (2, 3, 4):
            await client.send({"cmd": "queue", "do": "add", "request": record(seed)})
        await until(lambda: len(behind._queue.waiting) == 3)
        assert json.loads((root / FILE).read_text())[0]["request"]["seed"] == 2
        last = behind._queue.waiting[2].id
        await client.send({"cmd": "queue", "do": "move", "id": last, "step": "-1"})
        await client.send({"cmd": "queue", "do": "drop", "id": behind._queue.waiting[0].id})
        await until(lambda: seeds(behind._queue) == [4, 3])
        async with watching(root) as (_, later):
            await until(lambda: any(isinstance(one, events.QueueChanged) for one in later))
            told = next(one for one in later if isinstance(one, events.QueueChanged))
            assert [one["request"]["seed"] for one in told.waiting] == [4, 3]
        await client.send({"cmd": "queue", "do": "pause"})
        Puppet.script.put(None)
        await until(lambda: behind._run is None)
        assert seeds(behind._queue) == [4, 3], "paused: nothing starts by itself"
        await client.send({"cmd": "queue", "do": "resume"})
        await until(lambda: seeds(behind._queue) == [3])
        Puppet.script.put(None)
        await until(lambda: seeds(behind._queue) == [])
        Puppet.script.put(None)
        await until(lambda: sum(isinstance(one, events.RunFinished) for one in said) == 3)
        assert [one.request["seed"] for one in said if isinstance(one, events.RunAsked)] == [1, 4, 3]


async def test_a_run_of_another_process_is_waited_for(root: Path) -> None:
    async with serving(root) as behind, watching(root) as (client, said):
        with behind.workspace.busy("batch"):
            await client.send({"cmd": "queue", "do": "add", "request": record(5)})
            await until(lambda: seeds(behind._queue) == [5])
            behind._start_next()
            assert behind._run is None
        behind._start_next()
        await until(lambda: any(isinstance(one, events.RunAsked) for one in said))
        Puppet.script.put(None)
        await until(lambda: any(isinstance(one, events.RunFinished) for one in said))
