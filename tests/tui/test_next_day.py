"""In real terminals: results the next day without `--data`, under another limit, and in a copied workspace."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.batch.conftest import environment
from tests.service.test_outlives import PROGRAM, Tmux, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]
PATIENCE_S = 120.0
SCORE = r"EfficientNet-Lite0\D+\d+\.\d ~"
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the workspace `w` of one run on `data`, under a limit."""
    place = tmp_path_factory.mktemp("day")
    rng = np.random.default_rng(0)
    for number in range(24):
        path = place / "data" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8) // (1 + number % 2)).save(path)
    (place / "settings.toml").write_text("engine_idle_minutes = 0\noffline = true\n")
    line = ["--batch", "--models", "efficientnet_lite0", "--datasets", "mine", "--data", f"mine={place / 'data'}"]
    line += ["--limit", "10", "--folds", "2", "--stages", "extract,probe", "--workspace", str(place / "w")]
    done = subprocess.run([*PROGRAM, *line], capture_output=True, text=True, env=surroundings(place), timeout=600)
    assert done.returncode == 0, done.stderr
    return place


def surroundings(place: Path) -> dict[str, str]:
    made = environment(place) | {"MEDVLM_CONFIG": str(place / "settings.toml"), "TERM": "xterm-256color"}
    return made | {"MEDVLM_ENGINE_IDLE_MINUTES": "0", "LC_ALL": "C.UTF-8"}


@pytest.fixture
def terminal(place: Path, request: pytest.FixtureRequest) -> Iterator[Tmux]:
    """The program over the workspace that the test's parameter names."""
    opened = Tmux(request.node.name[:20], surroundings(place), "--workspace", str(place / request.param))
    yield opened
    opened.tmux("send-keys", "q")
    opened.end()


def shows_score(terminal: Tmux) -> None:
    """Wait until the model's line has its number: a terminal is captured while it is being drawn, too."""
    wait(lambda: re.search(SCORE, terminal.tmux("capture-pane", "-p")), PATIENCE_S)


@pytest.mark.parametrize("terminal", ["w"], indirect=True)
def test_the_next_day_the_folder_is_known_and_the_number_there(terminal: Tmux) -> None:
    terminal.shows("of other settings: 20 images, limit 10, 2 folds; now 24, 5 folds", PATIENCE_S)
    shows_score(terminal)


@pytest.fixture
def copied(place: Path) -> Iterator[Path]:
    """The workspace elsewhere, without what it was computed from."""
    shutil.copytree(place / "w", place / "copied", ignore=shutil.ignore_patterns("datasets.toml", "engine.*"))
    (place / "data").rename(place / "moved")
    yield place / "copied"
    (place / "moved").rename(place / "data")
    shutil.rmtree(place / "copied")


def test_a_copied_workspace_is_a_reading_room(copied: Path, place: Path) -> None:
    terminal = Tmux("copied", surroundings(place), "--workspace", str(copied))
    try:
        terminal.shows("reading: no data here", PATIENCE_S)
        terminal.shows("data missing here: its pictures cannot be shown", PATIENCE_S)
        shows_score(terminal)
    finally:
        terminal.end()


def test_a_workspace_on_a_read_only_disk_opens(copied: Path, place: Path) -> None:
    mount = ["unshare", "-m", "sh", "-c", READ_ONLY, str(copied)]
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("no disk can be mounted read-only here")
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    terminal = Tmux("read-only", surroundings(place), program=[*mount, *PROGRAM, "--workspace", str(copied)])
    try:
        terminal.shows("reading: read-only, no data here", PATIENCE_S)
        screen = terminal.shows("data missing here: its pictures cannot be shown", PATIENCE_S)
        shows_score(terminal)
        assert "looking at what is here" not in screen
    finally:
        terminal.end()
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*")} == before
