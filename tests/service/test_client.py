"""What a front end does about an engine that is there, is not, is another's, or dies."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import MedvlmError
from medvlm_tui.service import address, client
from medvlm_tui.service.client import EngineClient, EngineStoppedError, last_lines
from tests.service.conftest import connected, fake_engine, until

NEVER = (sys.executable, "-c", "import sys; sys.exit('nothing may be started here')")
REFUSES = (
    sys.executable,
    "-c",
    "import json; print(json.dumps({'code': 4, 'message': 'the store is foreign', 'hint': 'chmod 700'})); exit(4)",
)
DIES = (sys.executable, "-c", "import sys; sys.stderr.write('boom \\x1b[31m'); sys.exit(3)")


async def test_a_running_engine_is_found_watched_and_left_alone(root: Path) -> None:
    async with fake_engine(root) as engine:
        front = EngineClient(root, NEVER)
        await front.start()
        await until(lambda: engine.commands == [{"cmd": "watch"}])
        engine.door.tell('{"type": "Log", "level": "info", "message": "' + "x" * 300_000 + '"}')
        engine.door.tell("noise")
        said = []
        async for event in front.events():
            said.append(event)
            if len(said) == 2:
                await front.leave()
        assert [event.level for event in said] == ["info", "warning"]
        assert len(said[0].message) == 300_000
        await until(lambda: not engine.door.guests)
        assert {"cmd": "quit"} not in engine.commands


async def test_a_busy_engine_of_another_release_is_told_apart(root: Path) -> None:
    async with fake_engine(root, version="9.9", busy=True) as engine:
        with pytest.raises(EngineStoppedError, match=r"release 9\.9 .* a run under way") as caught:
            await EngineClient(root, NEVER).start()
        assert "cancel" in caught.value.hint
        assert not engine.commands


@pytest.mark.parametrize("other", [{"version": "9.9"}, {"protocol": 99}])
async def test_an_idle_engine_of_another_release_is_sent_away(root: Path, other: dict[str, object]) -> None:
    async with fake_engine(root, **other) as engine:
        with pytest.raises(MedvlmError, match="the store is foreign"):
            await EngineClient(root, REFUSES).start()
        assert engine.commands == [{"cmd": "quit"}]


async def test_settings_that_changed_since_call_for_another_engine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_new")
    async with fake_engine(root, salt="s") as engine:
        with pytest.raises(MedvlmError, match="the store is foreign"):
            await EngineClient(root, REFUSES).start()
        assert engine.commands == [{"cmd": "quit"}]
    async with fake_engine(root, salt="s", busy=True) as engine:
        front = EngineClient(root, NEVER)
        await front.start()
        first = await anext(front.events())
        assert isinstance(first, events.Log)
        assert "HF_TOKEN" in first.message
        assert "hf_new" not in first.message


async def test_a_cut_connection_is_taken_up_again(root: Path) -> None:
    async with fake_engine(root) as engine:
        front = EngineClient(root, NEVER)
        await front.start()
        await until(lambda: engine.commands)
        said: list[events.Event] = []

        async def listen() -> None:
            async for event in front.events():
                said.append(event)

        listening = asyncio.create_task(listen())
        next(iter(engine.door.guests)).close()
        await until(lambda: engine.commands.count({"cmd": "watch"}) == 2)
        engine.door.tell(events.to_json(events.Log("info", "again")))
        await until(lambda: said)
        await front.leave()
        await listening


async def test_a_dead_engine_is_told_with_its_last_words(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "AGAIN_PATIENCE_S", 0.1)
    (root / "logs" / "engine.log").write_text("last \x1b[31m words\n")
    async with fake_engine(root) as engine:
        front = await connected(root)
        engine.close()
        with pytest.raises(EngineStoppedError, match="stopped by itself") as caught:
            await anext(front.events())
    assert "engine.log" in caught.value.hint
    assert "last \\x1b[31m words" in caught.value.hint
    with pytest.raises(EngineStoppedError):
        await front.send({"cmd": "survey"})


async def test_an_address_without_an_engine_is_no_engine(root: Path) -> None:
    assert not await EngineClient(root).connect()
    address.write(root, address.here(address.socket_path(root)))
    assert not await EngineClient(root).connect()
    (root / address.FILE).write_text("[nonsense")
    assert not await EngineClient(root).connect()


async def test_an_engine_on_another_machine_is_named(root: Path, tmp_path: Path) -> None:
    address.write(root, address.Address(str(tmp_path / "none.sock"), 2**30, "node17"))
    with pytest.raises(EngineStoppedError, match="runs on node17"):
        await EngineClient(root, NEVER).start()


async def test_an_engine_that_does_not_answer_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "HELLO_PATIENCE_S", 0.1)
    path = address.socket_path(root)
    silent = await asyncio.start_unix_server(lambda reader, writer: None, str(path))
    address.write(root, address.here(path))
    with pytest.raises(EngineStoppedError, match="does not answer"):
        await EngineClient(root, NEVER).start()
    silent.close()
    path.unlink()


async def test_what_keeps_an_engine_from_starting_is_told(root: Path) -> None:
    with pytest.raises(MedvlmError, match="the store is foreign") as caught:
        await EngineClient(root, REFUSES).start()
    assert caught.value.hint == "chmod 700"
    with pytest.raises(MedvlmError, match="exit status 3") as caught:
        await EngineClient(root, DIES).start()
    assert "boom" in (root / "logs" / "engine.log").read_text()


async def test_nobody_is_there_to_send_to_before_the_start(root: Path) -> None:
    with pytest.raises(EngineStoppedError, match="has not been started"):
        await EngineClient(root, NEVER).send({"cmd": "survey"})


def test_an_unknown_line_becomes_a_warning() -> None:
    for line in (b"\xff\xfe\n", b"{}\n", b'{"type": "Nope"}\n', b'{"type": "Log"}\n', b"[1]\n", b"null\n"):
        event = events.from_line(line.decode("utf-8", "replace"))
        assert isinstance(event, events.Log)
        assert event.level == "warning"


def test_last_lines_of_a_missing_or_long_log(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    assert last_lines(log) == f"log: {log}"
    log.write_text("\n".join(f"line {i}" for i in range(100_000)))
    assert last_lines(log, 2).splitlines()[1:] == ["line 99998", "line 99999"]


def test_a_workspace_says_who_is_busy_in_it(root: Path) -> None:
    workspace = Workspace(root)
    assert workspace.holder() is None
    with workspace.busy("batch"):
        holder = workspace.holder()
        assert holder is not None
        assert "a --batch run, process" in holder.who
    assert workspace.holder() is None
