"""`--serve`: on this machine alone, below a token, and the same screens in a real browser."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from medvlm_tui import streams
from medvlm_tui.cli import command_parser
from medvlm_tui.commands.serve import without_serving
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.browser.server import LocalServer
from tests.engine.run.test_survey import note_run, ready
from tests.made.recorded import DATASET, KEYS, MODEL, fill_store

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def served() -> AsyncIterator[LocalServer]:
    server = LocalServer("false", 0, lambda line: None)
    runner = web.AppRunner(await server._make_app())
    await runner.setup()
    await web.SockSite(runner, server._socket).start()
    try:
        yield server
    finally:
        await runner.cleanup()


async def test_without_the_token_or_from_elsewhere_there_is_nothing() -> None:
    async with served() as server, aiohttp.ClientSession() as client:

        async def status(address: str, **headers: str) -> int:
            async with client.get(address, headers=headers) as answer:
                return answer.status

        inside = server.public_url
        assert server._socket.getsockname()[0] == "127.0.0.1"
        assert await status(server.address) == 200
        for path in ("/", "/ws", "/static/css/xterm.css", f"/{server.token[:-1]}/", f"//{server.token}/"):
            assert await status(inside + path) == 403, path
        assert await status(f"{server.address}static/css/xterm.css") == 200
        assert await status(server.address, Host=f"evil.example:{server.port}") == 403
        assert await status(server.address, Origin="http://evil.example") == 403
        assert await status(server.address, Origin=f"http://localhost:{server.port}") == 200


async def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    async with served() as server, aiohttp.ClientSession() as client, client.get(server.address) as answer:
        page, headers = await answer.text(), answer.headers
    addresses = re.findall(r'(?:https?|wss?)://[^/"]+', page)
    assert len(addresses) >= 4
    assert {address.partition("://")[2] for address in addresses} == {f"127.0.0.1:{server.port}"}
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self' 'unsafe-inline';")
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")


async def test_each_server_has_a_token_of_its_own() -> None:
    async with served() as one, served() as other:
        assert one.token != other.token
        assert len(one.token) >= 32


def test_the_screens_are_started_without_the_options_of_the_server() -> None:
    line = ["--serve", "--workspace", "w", "--port", "8000", "--data", "a=b"]
    assert without_serving(line) == ["--workspace", "w", "--data", "a=b"]
    assert without_serving(["--port=1", "--serve"]) == []
    options = command_parser(line).parse_args(line)
    assert (options.serve, options.port) == (True, 8000)


def test_a_browser_takes_the_place_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda number: False)
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    with pytest.raises(UsageError):
        streams.refuse_without_terminal()
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.web_driver:WebDriver")
    streams.refuse_without_terminal()


class Browser:
    """A page of a Chromium without a window, driven by its debugging protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._asked = socket, 0
        self.received = ""
        """What the server has sent to the terminal, without its escape sequences."""

    async def ask(self, method: str, **params: Any) -> Mapping[str, Any]:
        """Return the answer to one command."""
        self._asked += 1
        await self._socket.send_json({"id": self._asked, "method": method, "params": params})
        while True:
            said = json.loads(await self._socket.receive_str(timeout=60))
            if said.get("method") == "Network.webSocketFrameReceived" and said["params"]["response"]["opcode"] == 2:
                text = base64.b64decode(said["params"]["response"]["payloadData"]).decode("utf-8", "replace")
                self.received += re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)
            if said.get("id") == self._asked:
                return said["result"]

    async def until(self, words: str) -> None:
        """Wait until the terminal was sent these words."""
        for _ in range(240):
            await self.ask("Runtime.evaluate", expression="1")
            if words in self.received:
                return
            await asyncio.sleep(0.5)
        raise AssertionError(f"{words!r} never came: {self.received[-2000:]}")

    async def press(self, key: str) -> None:
        """Press one key, a letter or a digit."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=ord(key.upper()), **text)

    async def picture(self) -> np.ndarray:
        """Return the page's pixels (H, W, 3)."""
        data = base64.b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@asynccontextmanager
async def chromium(profile: Path, address: str) -> AsyncIterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        assert not os.environ.get("CI"), "Chromium is missing: install the package chromium"
        pytest.skip("Chromium is not installed")
    command = [
        program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--window-size=1300,800", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = profile / "DevToolsActivePort"
        for _ in range(600):
            if told.exists() and told.read_text().count("\n"):
                break
            await asyncio.sleep(0.1)
        port = told.read_text().split()[0]
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            async with client.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                browser = Browser(socket)
                await browser.ask("Page.enable")
                await browser.ask("Network.enable")
                await browser.ask("Page.navigate", url=address)
                yield browser
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_browser_goes_from_home_to_the_map(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    fill_store(workspace)
    results = [ready("extract", KEYS["extract"]), ready("probe", KEYS["probe"], "paper")]
    results.append(ready("project", KEYS["project"], "15-0.1"))
    named = tuple(ready(one.kind, one.key, "paper" * (one.kind == "probe"), MODEL, DATASET) for one in results)
    note_run(workspace, "20260101-000000-aaaa", RunRequest(), named)
    (tmp_path / "settings.toml").write_text("engine_idle_minutes = 0\noffline = true\n")
    environment = {**os.environ, "MEDVLM_CONFIG": str(tmp_path / "settings.toml"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "medvlm_tui", "--serve", "--workspace", str(workspace)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
        async with chromium(tmp_path / "profile", address) as browser:
            await browser.until("81.2")
            await asyncio.sleep(1)
            home = await browser.picture()
            focus = "document.querySelector('.xterm-helper-textarea').focus()"
            await browser.ask("Runtime.evaluate", expression=focus)
            await browser.press("4")
            await browser.until("trust 0.96")
            await asyncio.sleep(1)
            shown = await browser.picture()
        if folder := os.environ.get("MEDVLM_TEST_PICTURES"):
            for name, picture in (("home", home), ("map", shown)):
                Image.fromarray(picture).save(Path(folder) / f"browser-{name}.png")
        # Twenty points in the second class's colour, which nothing on home has.
        assert vermillion(home) < 50 < 400 < vermillion(shown)
    finally:
        process.terminate()
        process.wait(30)


def vermillion(picture: np.ndarray) -> int:
    """Return the number of pixels of that colour."""
    red, green, blue = picture.astype(int).transpose(2, 0, 1)
    return int(((red > 200) & (green < 150) & (blue < 80)).sum())
