"""What the screens import, how they look without colour and in small terminals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from medvlm_tui.stages import EVERY_STAGE
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.run.meter import clock, sparkline
from medvlm_tui.tui.shared.matrix import two_lines
from medvlm_tui.tui.state.selection import Selection, run_request
from tests.made.recorded import fill_store
from tests.tui.conftest import seen, until

HEAVY = (
    "torch|sklearn|umap|transformers|timm|open_clip|torchvision|scipy|numba|"
    "matplotlib|pandas|PIL|medvlm_tui.engine|medvlm_tui.report"
)
ROOT = Path(__file__).parents[2]
ROOMS = "home|run|scores|map|saliency|bias|data"


def modules_after(code: str) -> set[str]:
    """Return the names of all modules that are loaded after `code` in a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_no_screen_imports_the_engine_or_a_heavy_library() -> None:
    files = [path.relative_to(ROOT) for path in (ROOT / "medvlm_tui" / "tui").rglob("*.py")]
    code = "\n".join(f"import {'.'.join(file.with_suffix('').parts)}" for file in files if file.stem != "__init__")
    loaded = modules_after(f"import medvlm_tui.tui.app\nimport medvlm_tui.core.store.store\n{code}")
    assert loaded.isdisjoint(HEAVY.split("|"))
    assert "medvlm_tui.tui.saliency.screen" in loaded


def test_the_start_imports_one_place_and_no_store() -> None:
    loaded = modules_after("import medvlm_tui.tui.app, medvlm_tui.tui.home.screen")
    late = {f"medvlm_tui.tui.{name}.screen" for name in ROOMS.split("|") if name != "home"}
    assert loaded.isdisjoint(late | {"diskcache", "safetensors", "medvlm_tui.render.scatter"})


@pytest.mark.parametrize("size", [(20, 6), (60, 15), (100, 30), (200, 60)])
async def test_every_place_draws_in_every_size(make_app, tmp_path: Path, size) -> None:
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.1)
        for key in (
            "tab",
            "tab",
            "tab",
            "end",
            "down",
            "f3",
            "f4",
            "f5",
            "right_square_bracket",
            "f6",
            "f2",
            "m",
            "escape",
        ):
            await pilot.press(key)
            await pilot.pause(0.02)
        assert len(seen(app).splitlines()) == size[1]
        await pilot.resize_terminal(80, 24)
        assert "81.2 ✓" in await until(pilot, "81.2")


async def test_on_a_narrow_terminal_one_pane_shows_at_a_time(make_app) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await until(pilot, "81.2 ✓")
        assert "─ Models" not in screen
        assert "─ Datasets" not in screen
        await pilot.press("tab")
        screen = seen(app)
        assert "─ Models" in screen
        assert "─ Datasets" not in screen
        assert "paper protocol" not in screen
        await pilot.press("tab")
        assert "─ Datasets" in seen(app)


async def test_without_colour_letters_and_words_say_it(
    make_app, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await until(pilot, "81.2 ✓")
        assert "weights missing" not in screen
        await pilot.press("down")
        assert "r ready" in seen(app)
        await pilot.press("up", "f4")
        assert " paper " in await until(pilot, "true \\ predicted")
        await pilot.press("f5")
        screen = await until(pilot, "c spiculated 20")
        # Points are letters where no colour tells the classes apart.
        assert screen.count("a") > 20
        assert not any("⠀" < character <= "⣿" for character in screen)
        await pilot.press("f6")
        assert "░" in await until(pilot, "image 1 of 3")


def test_a_run_of_the_screens_has_every_stage_and_few_masks() -> None:
    request = run_request(RunRequest(seed=4, options={"rise_masks": 64}), ("m",), ("d",))
    assert request.stages == EVERY_STAGE
    assert request.of(SaliencyParams).masks == 64
    assert request.seed == 4


def test_marking_a_cell_marks_both_sides() -> None:
    selection = Selection("m", "d")
    assert (selection.run_models(), selection.run_datasets()) == ({"m"}, {"d"})
    selection.toggle_cell("n", "d")
    assert selection.includes_mark("n", "d")
    assert not selection.includes_mark("m", "d")
    selection.toggle_cell("n", "d")
    assert not selection.models
    assert not selection.datasets


def test_names_break_into_two_lines() -> None:
    assert two_lines("Brain MR", 8) == ("", "Brain MR")
    assert two_lines("SARS-CoV-2 CT", 8) == ("SARS-", "CoV-2 CT")
    assert two_lines("PneumoniaMNIST", 8) == ("Pneumon-", "iaMNIST")
    assert two_lines("", 8) == ("", "")


def test_clock_and_sparkline() -> None:
    assert (clock(0.4), clock(59.6), clock(3725)) == ("0:00:00", "0:01:00", "1:02:05")
    assert sparkline([0, 1, 2, 4], 3) == "▃▅█"
    assert sparkline([0, 0], 9) == "▁▁"
