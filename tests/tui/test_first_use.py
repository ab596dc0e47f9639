"""In a real terminal: from an empty folder to a table, a map and a saliency picture, by one key each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.batch.conftest import environment
from tests.service.test_outlives import Tmux

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]
PATIENCE_S = 800.0
"""A cold worker imports torch and umap compiles its kernels; on a busy machine that takes minutes."""
SETTINGS = """\
phantom_per_class = 12
rise_masks = 32
rise_images = 1
bias_train = 4
bias_test = 2
bias_masks = 0
engine_idle_minutes = 0
"""


def test_from_an_empty_folder_to_a_table_a_map_and_a_saliency_picture(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(SETTINGS)
    surroundings = environment(tmp_path) | {"MEDVLM_CONFIG": str(tmp_path / "settings.toml"), "TERM": "xterm-256color"}
    surroundings |= {"MEDVLM_ENGINE_IDLE_MINUTES": "0", "LC_ALL": "C.UTF-8"}
    terminal = Tmux("first-use", surroundings, "--workspace", str(tmp_path / "w"))
    try:
        terminal.shows("try the phantom")
        terminal.tmux("send-keys", "Enter")  # the plan with its cost
        assert " to do, 0 there already" in terminal.shows("enter run it")
        assert "blocked" not in terminal.shows("enter run it")
        terminal.tmux("send-keys", "Enter")
        terminal.shows("finished in", PATIENCE_S)
        terminal.tmux("send-keys", "3")
        terminal.shows("paper protocol")
        assert "EfficientNet-Lite0" in terminal.shows("±")
        terminal.tmux("send-keys", "4")
        assert "a none 12" in terminal.shows("trust 0.")
        terminal.tmux("send-keys", "5")
        assert "▀▀▀" in terminal.shows("image 1 of ")
        terminal.tmux("send-keys", "x")
        terminal.shows(".png")
        assert list((tmp_path / "w" / "exports").rglob("*.png"))
        terminal.tmux("send-keys", "q")
    finally:
        terminal.end()
