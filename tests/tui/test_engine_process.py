"""The engine as a child process: it dies, hangs, talks nonsense; the screen lives on."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.service.client import EngineClient, EngineStoppedError, last_lines, parse
from tests.tui.conftest import until

ECHO = """
import json, sys
for line in sys.stdin:
    command = json.loads(line)
    if command["cmd"] == "quit":
        sys.exit(0)
    print("noise"); print(json.dumps({"type": "Log", "level": "info", "message": "x" * 300_000}), flush=True)
"""


def client(workspace: Path, code: str) -> EngineClient:
    return EngineClient(workspace, [sys.executable, "-c", code])


async def test_events_come_whole_and_noise_costs_only_itself(tmp_path: Path) -> None:
    engine = client(tmp_path, ECHO)
    await engine.start()
    await engine.send({"cmd": "survey"})
    said = []
    async for event in engine.events():
        said.append(event)
        if len(said) == 2:
            await engine.stop()
    assert [event.level for event in said] == ["warning", "info"]
    assert len(said[1].message) == 300_000


async def test_a_dead_engine_is_told_with_its_last_words(tmp_path: Path) -> None:
    engine = client(tmp_path, "import sys; sys.stderr.write('boom \\x1b[31m'); sys.exit(3)")
    await engine.start()
    with pytest.raises(EngineStoppedError, match="exit status 3") as caught:
        async for _ in engine.events():
            pass
    assert "engine.log" in caught.value.hint
    assert "boom \\x1b[31m" in caught.value.hint


async def test_nobody_is_there_to_send_to_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(EngineStoppedError, match="has not been started"):
        await client(tmp_path, ECHO).send({"cmd": "survey"})


async def test_a_stuck_engine_and_its_children_are_ended_after_a_grace(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']);"
        "open(sys.argv[2] + '/pid', 'w').write(str(p.pid)); time.sleep(60)"
    )
    engine = client(tmp_path, code)
    await engine.start()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.02)
    began = time.monotonic()
    await engine.stop()
    assert 1.5 < time.monotonic() - began < 6
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if (
            not os.path.exists(f"/proc/{child}")
            or "\tZ" in Path(f"/proc/{child}/status").read_text().split("State:")[1][:4]
        ):
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("the engine's own child lives on")


async def test_a_signal_to_the_terminal_does_not_reach_the_engine(tmp_path: Path) -> None:
    engine = client(tmp_path, ECHO)
    await engine.start()
    assert engine._process is not None
    assert os.getsid(engine._process.pid) != os.getsid(0)
    await engine.stop()


def test_an_unknown_line_becomes_a_warning() -> None:
    for line in (b"\xff\xfe\n", b"{}\n", b'{"type": "Nope"}\n', b'{"type": "Log"}\n', b"[1]\n", b"null\n"):
        event = parse(line)
        assert isinstance(event, events.Log)
        assert event.level == "warning"


def test_last_lines_of_a_missing_or_long_log(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    assert last_lines(log) == f"log: {log}"
    log.write_text("\n".join(f"line {i}" for i in range(100_000)))
    assert last_lines(log, 2).splitlines()[1:] == ["line 99998", "line 99999"]


async def test_the_screen_survives_the_engine_and_starts_another(make_app) -> None:
    app, recorded = make_app(dies_on="run")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        screen = await until(pilot, "The engine stopped")
        assert "exit status -9" in screen
        assert "engine.log" in screen
        assert "last [/] words" in screen
        await pilot.press("r")
        await pilot.pause()
        assert recorded.starts == 2
        assert not app.board.running
        await pilot.press("f2", "enter")
        await until(pilot, "finished in 12.3 s")
