"""The door: who gets in, who hears what, and what a bad guest costs the others."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from medvlm_tui.core.events import Log, to_json
from medvlm_tui.core.workspace.run_journal import RunFile
from medvlm_tui.errors import StoreError
from medvlm_tui.service import address, connections
from medvlm_tui.service.protocol import read_hello, surroundings
from tests.service.conftest import bare, fake_engine, until, watching


async def test_only_the_owner_can_reach_the_socket(root: Path) -> None:
    async with fake_engine(root) as engine:
        assert stat.S_IMODE(engine.door.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(engine.door.path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE((root / address.FILE).stat().st_mode) == 0o600
        assert len(os.fsencode(engine.door.path)) <= address.LONGEST_PATH_BYTES


KNOCK = """
import os, socket, sys
os.setuid(65534)
knocking = socket.socket(socket.AF_UNIX)
knocking.connect(sys.argv[1])
knocking.settimeout(20)
sys.exit(len(knocking.recv(100)))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_turned_away_even_where_the_modes_let_him_in(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "_is_ours", lambda directory: True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", f"/tmp/medvlm-knock-{os.getpid()}")
    Path(os.environ["XDG_RUNTIME_DIR"]).mkdir(mode=0o755)
    async with fake_engine(root) as engine:
        engine.door.path.parent.chmod(0o755)
        engine.door.path.chmod(0o666)
        knock = await asyncio.create_subprocess_exec(sys.executable, "-c", KNOCK, str(engine.door.path))
        assert await knock.wait() == 0
        assert not engine.door.guests
    subprocess.run(["rm", "-r", os.environ["XDG_RUNTIME_DIR"]], check=True)


def test_a_directory_that_others_can_enter_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path has 108 bytes at most
        loose = Path(short)
        loose.chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        assert loose not in address.socket_path(tmp_path).parents
        loose.chmod(0o700)
        own = address.socket_path(tmp_path)
        assert own.parent == loose / "medvlm-tui"
        own.parent.chmod(0o770)
        with pytest.raises(StoreError, match="only you can enter"):
            address.socket_path(tmp_path)


def test_a_long_runtime_directory_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert len(os.fsencode(address.socket_path(tmp_path / ("y" * 200)))) <= address.LONGEST_PATH_BYTES


def test_two_workspaces_have_two_sockets_and_a_link_has_its_target_s(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    a, b, link = (address.socket_path(tmp_path / name) for name in ("a", "b", "link"))
    assert a != b
    assert link == a


async def test_all_who_watch_hear_everything(root: Path, tmp_path: Path) -> None:
    with RunFile(tmp_path / "run-1") as file:
        async with fake_engine(root) as engine:
            early = await watching(root, engine)
            silent = await bare(root)
            engine.door.tell_said(file.append(Log("info", "line 0")))
            late = await watching(root, engine)
            engine.door.tell_said(file.append(Log("info", "line 1")))
            assert [await early.message(), await early.message()] == ["line 0", "line 1"]
            assert await late.message() == "line 1"
    assert await silent.reader.read() == b"", "one who does not watch is told nothing"


async def test_what_was_replayed_is_not_told_again(root: Path, tmp_path: Path) -> None:
    with RunFile(tmp_path / "run-1") as file:
        async with fake_engine(root) as engine:
            reader = await watching(root, engine)
            said = [file.append(Log("info", f"line {number}")) for number in range(4)]
            [guest] = engine.door.guests
            guest.has_heard("run-1", 3)
            for each in said:
                engine.door.tell_said(each)
            assert await reader.message() == "line 3"


async def test_a_guest_that_reads_nothing_is_shown_out_and_costs_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD_LIMIT_BYTES", 100_000)
    line = to_json(Log("info", "x" * 1000))
    async with fake_engine(root) as engine:
        slow = await watching(root, engine, limit=1000)
        quick = await watching(root, engine)
        for _ in range(2000):
            engine.door.tell(line)
            await quick.record()
        await until(lambda: len(engine.door.guests) == 1)
        engine.door.tell(to_json(Log("info", "still here")))
        assert await quick.message() == "still here"
        slow.writer.close()


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b"[1]\n", b"nonsense\n", b'{"cmd": "run", "request": 3}\n'])
async def test_a_line_that_is_no_command_costs_itself(root: Path, line: bytes) -> None:
    async with fake_engine(root) as engine:
        guest = await bare(root)
        guest.writer.write(line + b'{"cmd": "watch"}\n')
        await until(lambda: engine.commands)
        assert [command["cmd"] for command in engine.commands] == ["watch"]


async def test_an_endless_line_ends_its_guest_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_COMMAND_LIMIT_BYTES", 1000)
    async with fake_engine(root) as engine:
        other = await watching(root, engine)
        guest = await bare(root)
        guest.writer.write(b"x" * 10_000)
        assert await asyncio.wait_for(guest.reader.read(), 20) == b""
        engine.door.tell(to_json(Log("info", "still here")))
        assert await other.message() == "still here"


async def test_the_greeting_holds_no_secret(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwx")
    async with fake_engine(root, salt="s", surroundings=surroundings("s")):
        hello = (await bare(root)).hello
        assert "abcdefgh" not in json.dumps(hello)
        assert set(hello["surroundings"]) >= {"HF_TOKEN"}
        found = read_hello(json.dumps(hello).encode())
        assert found is not None
        assert found.differing() == []
        monkeypatch.setenv("HF_TOKEN", "another")
        assert found.differing() == ["HF_TOKEN"]


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"\xff", b'{"greeting": "SSH-2.0"}'])
def test_a_stranger_s_greeting_is_none(line: bytes) -> None:
    assert read_hello(line) is None
