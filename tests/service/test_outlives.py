"""Through the front door, with real terminals and signals: nothing that happens to a terminal costs a run anything."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from medvlm_tui.core.workspace.run_journal import last_run, whole_lines
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.service import address
from tests.batch.conftest import QUICK, environment, run_command
from tests.service.conftest import is_engine
from tests.service.test_engine_process import alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PROGRAM = (sys.executable, "-m", "medvlm_tui")
TOKEN = "hf_ThisIsNotARealToken1234567890"


def wait(true: Callable[[], object], patience_s: float = 400.0) -> None:
    """Wait until something holds; a cold worker on a loaded machine takes minutes."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


def events(root: Path) -> list[dict[str, object]]:
    """What the last run has said."""
    path = last_run(root / "runs")
    return [json.loads(line) for line in whole_lines(path)[0]] if path is not None else []


def said(root: Path, kind: str, step: str = "") -> list[dict[str, object]]:
    return [e for e in events(root) if e["type"] == kind and str(e.get("step", "")).startswith(step)]


class Tmux:
    """A terminal of 120 x 40 with one program in it."""

    def __init__(
        self, name: str, surroundings: dict[str, str], *arguments: str, program: Sequence[str] = PROGRAM
    ) -> None:
        self._server = ("tmux", "-L", f"medvlm-{name}-{os.getpid()}", "-f", "/dev/null")
        self.tmux("new-session", "-d", "-x", "120", "-y", "40", *program, *arguments, env=surroundings)
        self.server_pid = int(self.tmux("display-message", "-p", "#{pid}"))
        self.program_pid = int(self.tmux("display-message", "-p", "#{pane_pid}"))

    def tmux(self, *words: str, env: dict[str, str] | None = None) -> str:
        return subprocess.run([*self._server, *words], capture_output=True, text=True, check=True, env=env).stdout

    def shows(self, text: str, patience_s: float = 400.0) -> str:
        screen = ""

        def there() -> bool:
            nonlocal screen
            screen = self.tmux("capture-pane", "-p")
            return text in screen

        wait(there, patience_s)
        return screen

    def end(self) -> None:
        subprocess.run([*self._server, "kill-server"], capture_output=True)


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """A small phantom, no cache of this machine, an engine that stays for a minute."""
    (tmp_path / "settings.toml").write_text("phantom_per_class = 40\nengine_idle_minutes = 1\n")
    made = environment(tmp_path) | {"MEDVLM_CONFIG": str(tmp_path / "settings.toml"), "TERM": "xterm-256color"}
    made |= {"LC_ALL": "C.UTF-8"}
    made.pop("MEDVLM_ENGINE_IDLE_MINUTES", None)
    return made


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_run_goes_on_after_its_terminal_was_killed_and_is_found_again(
    root: Path, surroundings: dict[str, str]
) -> None:
    first = Tmux("first", surroundings, "--workspace", str(root))
    second = None
    try:
        first.shows("try the phantom")
        first.tmux("send-keys", "Enter")
        first.shows("enter run it")
        first.tmux("send-keys", "Enter")
        wait(lambda: said(root, "StepProgress", "extract"))
        os.kill(first.server_pid, signal.SIGKILL)
        wait(lambda: not alive(first.program_pid), 30)
        found = address.read(root)
        assert found is not None
        assert is_engine(found.pid, root)
        lines = len(events(root))
        wait(lambda: len(events(root)) > lines)
        second = Tmux("second", surroundings, "--workspace", str(root), "attach")
        shown = second.shows("EfficientNet")
        assert "Queue" in shown
        plain = subprocess.run([*PROGRAM, "--workspace", str(root), "attach"], stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, timeout=600, env=surroundings)  # fmt: skip
        assert plain.returncode == 0, plain.stderr
        assert "run finished" in plain.stdout
        screen = second.shows("finished in")
        assert "0 failed" in screen
        second.tmux("send-keys", "q")
        wait(lambda: not alive(second.program_pid), 30)
    finally:
        for terminal in (first, second):
            if terminal is not None:
                terminal.end()
    [asked] = said(root, "RunAsked")
    assert len(list((root / "runs").iterdir())) == 1
    assert asked["by"] == "engine"
    # Nothing was computed twice: every image once, every step begun once.
    assert sum(int(str(e["rows"])) for e in said(root, "BlockStored", "extract")) == 120
    begun = [e["step"] for e in said(root, "StepStarted")]
    assert len(begun) == len(set(begun))
    done = [int(str(e["done"])) for e in said(root, "StepProgress", "extract")]
    assert done == sorted(done)
    assert done[-1] == 120


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the features and the probe of the phantom."""
    folder = tmp_path_factory.mktemp("probed")
    done = run_command(["--batch", *QUICK, "--stages", "extract,probe", "--workspace", folder / "ws"], folder)
    assert done.code == 0, done.stderr
    return folder


LONG = (*QUICK, "--stages", "extract,probe,saliency", "--rise-masks", "100000")


class Batch:
    """A --batch run in the middle of a long step, in a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "ws"
        master, slave = pty.openpty()
        command = [*PROGRAM, "--batch", *LONG, "--workspace", str(self.root)]
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(folder),
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: _own_terminal(0),
        )
        os.close(slave)
        self.master = master
        self._vanishes = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        before = len(list((self.root / "runs").iterdir()))
        wait(lambda: len(list((self.root / "runs").iterdir())) > before and said(self.root, "StepProgress", "saliency"))
        self.children = _children(self.process.pid)
        assert self.children

    def _read(self) -> None:
        """Take what the run writes, as a terminal does."""
        while not self._vanishes.is_set():
            try:
                if select.select([self.master], [], [], 0.1)[0]:
                    os.read(self.master, 1 << 16)
            except OSError:
                return

    def vanish(self) -> None:
        """Take the terminal away."""
        self._vanishes.set()
        self._reading.join()
        os.close(self.master)

    def ended(self) -> int:
        """Return the exit code, after nothing of the run is left."""
        code = self.process.wait(60)
        wait(lambda: not any(alive(pid) for pid in self.children), 30)
        assert Workspace(self.root).holder() is None
        return code


def _own_terminal(number: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(number, termios.TIOCSCTTY, 0)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def batch(probed: Path) -> Iterator[Batch]:
    run = Batch(probed)
    yield run
    if run.process.poll() is None:
        run.process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_batch_run_stops_in_order_at_a_signal(batch: Batch, number: int) -> None:
    os.kill(batch.process.pid, number)
    assert batch.ended() == 130
    assert events(batch.root)[-1]["exit_code"] == 130


def test_a_batch_run_whose_terminal_vanishes_stops_in_order(batch: Batch) -> None:
    batch.vanish()
    assert batch.ended() == 130
    assert events(batch.root)[-1]["exit_code"] == 130


def test_ctrl_c_twice_leaves_at_once(batch: Batch) -> None:
    os.write(batch.master, b"\x03")
    time.sleep(0.02)
    os.write(batch.master, b"\x03")
    assert batch.ended() == 130


def test_cancel_and_attach_reach_a_batch_run_and_a_second_one_is_refused(batch: Batch, probed: Path) -> None:
    refused = run_command(["--batch", *QUICK, "--workspace", batch.root], probed)
    assert refused.code == 4
    assert f"a --batch run, process {batch.process.pid}" in refused.stderr
    assert "medvlm-tui attach" in refused.stderr
    watching = subprocess.Popen([*PROGRAM, "--workspace", str(batch.root), "attach", "--json"], text=True,
                                stdout=subprocess.PIPE, env=environment(probed))  # fmt: skip
    cancelled = run_command(["--workspace", batch.root, "cancel"], probed)
    assert cancelled.code == 0, cancelled.stderr
    assert "run finished" in cancelled.stdout
    assert batch.ended() == 130
    lines = watching.communicate(timeout=60)[0].splitlines()
    assert watching.returncode == 130
    assert json.loads(lines[0])["type"] == "RunAsked"
    assert json.loads(lines[-1])["type"] == "RunFinished"
    assert run_command(["--workspace", batch.root, "cancel"], probed).code == 0


CRASHES = """
import os
from medvlm_tui.engine.step import job as steps
found = steps.step_function
def bad(job, context):
    print("printed", os.environ["HF_TOKEN"], flush=True)
    raise RuntimeError("Illegal header value b'Bearer " + os.environ["HF_TOKEN"] + "'")
    yield
steps.step_function = lambda kind: bad if kind == "probe" else found(kind)
"""


def test_a_token_in_a_crash_is_nowhere(probed: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASHES)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", str(Path(__file__).parents[2]))])
    command = [*PROGRAM, "--batch", *QUICK, "--seed", "3", "--stages", "extract,probe,report", "--json",
               "--workspace", str(tmp_path / "ws"), "--out", str(tmp_path / "out")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path,
                          env=environment(tmp_path) | {"HF_TOKEN": TOKEN, "PYTHONPATH": paths})  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Illegal header value b'Bearer [secret]'" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    written = [file for folder in ("ws", "out") for file in (tmp_path / folder).rglob("*") if file.is_file()]
    assert {"events.jsonl", "worker.log", "manifest.json"} <= {file.name for file in written}
    assert "printed [secret]" in (tmp_path / "ws" / "logs" / "worker.log").read_text()
    assert [file for file in written if TOKEN.encode() in file.read_bytes()] == []
