"""Real engine processes: started once, found again, ended by signals, replaced after kill -9."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medvlm_tui.service import address
from medvlm_tui.service.client import EngineClient, EngineStoppedError
from medvlm_tui.stages.request import RunRequest
from tests.service.conftest import is_engine, until


def alive(pid: int) -> bool:
    """Say whether a process runs (one that ended and was not waited for does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


async def started(root: Path) -> EngineClient:
    client = EngineClient(root)
    await client.start()
    return client


async def heard_to_the_end(client: EngineClient) -> None:
    async for _ in client.events():
        continue


async def survey(client: EngineClient) -> None:
    await client.send({"cmd": "survey", "request": RunRequest().to_record()})
    async for event in client.events():
        if type(event).__name__ == "Survey":
            return


async def test_an_engine_outlives_its_starter_and_a_racing_pair_gets_one(root: Path) -> None:
    fronts = await asyncio.gather(*(started(root) for _ in range(3)))
    pids = {front.hello.pid for front in fronts}
    assert len(pids) == 1
    [pid] = pids
    assert is_engine(pid, root), "a session of its own, without a terminal"
    assert os.readlink(f"/proc/{pid}/fd/0") == os.devnull
    assert os.readlink(f"/proc/{pid}/fd/1") == os.readlink(f"/proc/{pid}/fd/2") == str(root / "logs" / "engine.log")
    for front in fronts:
        await front.leave()
    again = await started(root)
    assert again.hello.pid == pid
    await survey(again)
    os.kill(pid, signal.SIGHUP)
    await survey(again)
    os.kill(pid, signal.SIGTERM)
    with pytest.raises(EngineStoppedError, match="stopped by itself"):
        await heard_to_the_end(again)
    await until(lambda: not alive(pid))
    assert address.read(root) is None
    assert "SIGTERM" in (root / "logs" / "engine.log").read_text()


async def test_after_kill_9_another_engine_takes_the_place(root: Path) -> None:
    first = await started(root)
    os.kill(first.hello.pid, signal.SIGKILL)
    await until(lambda: not alive(first.hello.pid))
    assert address.read(root) is not None, "the address of the dead lies there"
    second = await started(root)
    assert second.hello.pid != first.hello.pid
    await survey(second)
    await second.leave()
    # Nobody needs it any more: it leaves by itself.
    await until(lambda: not alive(second.hello.pid), patience_s=60)
    assert not Path(address.socket_path(root)).exists()


async def test_a_store_that_refuses_keeps_the_engine_from_starting(root: Path) -> None:
    (root / "store").mkdir(mode=0o777)
    (root / "store").chmod(0o777)
    with pytest.raises(Exception, match="store") as caught:
        await started(root)
    assert "chmod 700" in str(getattr(caught.value, "hint", ""))
    assert address.read(root) is None


def test_the_engine_s_launcher_loads_nothing_before_it_forks() -> None:
    code = "import sys, medvlm_tui.service.start_engine; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "medvlm_tui.engine", "medvlm_tui.core.store.store"} & set(loaded)
