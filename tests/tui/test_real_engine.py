"""The phantom through the real engine, by keys alone: cancel a first run, run it, read every place, quit."""

from __future__ import annotations

from pathlib import Path

import pytest

from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.app import MedvlmApp
from tests.tui.conftest import confirm, until

# A cold worker imports torch and umap compiles its kernels; on a busy machine that takes minutes (tries of 20 ms).
PATIENCE = 12_000
SMALL = {"rise_masks": 32, "bias_train": 4, "bias_test": 2, "bias_masks": 0}


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDVLM_ENGINE_IDLE_MINUTES", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.mark.timeout(600)
async def test_the_phantom_from_the_first_key_to_the_last(tmp_path: Path) -> None:
    request = RunRequest(phantom_per_class=12, options=SMALL, offline=True)
    app = MedvlmApp(tmp_path / "ws", request=request)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "try the phantom", PATIENCE)
        await pilot.press("enter")
        await confirm(pilot, PATIENCE)
        await until(pilot, "SYNTHETIC images in", PATIENCE)
        await pilot.press("c")
        await until(pilot, "cancelled before the run began", PATIENCE)
        await pilot.press("f2", "enter")
        await confirm(pilot, PATIENCE)
        screen = await until(pilot, "finished in", PATIENCE)
        assert "0 failed" in screen or "failed" not in screen
        await pilot.press("f4")
        await until(pilot, "EfficientNet-Lite0", PATIENCE)
        await pilot.press("enter")
        assert "held out 8" in await until(pilot, "held out", PATIENCE)
        await pilot.press("f5")
        assert "a none 12" in await until(pilot, "trust", PATIENCE)
        await pilot.press("f6")
        assert "SYNTHETIC" in await until(pilot, "image 1 of 8", PATIENCE)
        await pilot.press("f2")
        assert "✓" in await until(pilot, "done   accuracy", PATIENCE)
        await pilot.press("q")
        await pilot.pause()
    with Workspace(tmp_path / "ws").busy("batch"):
        pass
