"""Home over a store with results: what was computed is shown, whatever is missing today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medvlm_tui.core import events
from medvlm_tui.errors import ImageError, StoreError
from tests.made.recorded import DATASET, KEYS, MODEL, fill_store, survey
from tests.tui.conftest import SIZES, seen, until

MISSING = {"state": "data_missing", "images": 0}
SCORES = {"accuracy": 0.8125, "std": 0.021, "macro_f1": 0.8, "t": 1.0, "table": KEYS["extract"], "probe": KEYS["probe"]}


def with_results(cells: Mapping[tuple[str, str], Mapping[str, Any]], weights: bool = True) -> events.Survey:
    """A survey with these cells changed; without `weights` no model has any."""
    base = survey()
    models = tuple({**row, "state": row["state"] if weights else "weights_missing"} for row in base.models)
    changed = tuple({**cell, **cells.get((str(cell["model"]), str(cell["dataset"])), {})} for cell in base.cells)
    return replace(base, models=models, cells=changed)


@pytest.mark.parametrize("size", SIZES)
async def test_results_without_data_or_of_other_settings_are_shown_and_told_apart(
    make_app, tmp_path: Path, size
) -> None:
    here = {"state": "done", **SCORES, "here": "data_missing"}
    differs = "80 images, limit 20; now 600"
    other = {"state": "stale", **SCORES, "accuracy": 0.575, "here": "ready", "differs": differs}
    app, _ = make_app(shown=with_results({(MODEL, "brain_mr"): here, (MODEL, "breakhis"): other}))
    fill_store(tmp_path)
    async with app.run_test(size=size) as pilot:
        screen = await until(pilot, "81.2")
        assert "81.2 d" in screen
        assert "57.5 ~" in screen
        assert "data missing here: its pictures cannot be shown" in screen
        assert "opens the scores of EfficientNet-Lite0 × Brain MR" in screen
        await pilot.press("right")
        assert f"other settings: {differs}" in await until(pilot, "other settings")
        await pilot.press("enter")
        await until(pilot, "true \\ predicted")
        assert app.screen.place == "scores"


async def test_only_results_of_todays_settings_are_the_best(make_app) -> None:
    other = {"state": "stale", **SCORES, "accuracy": 0.9, "differs": "80 images, limit 20; now 600"}
    mine = {"state": "done", **SCORES}
    app, _ = make_app(shown=with_results({("resnet50", DATASET): other, (MODEL, DATASET): mine}))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "90.0 ~")
        assert app.board.best(DATASET) == 0.8125
        assert "81.2 ✓" in seen(app)


@pytest.mark.parametrize("size", SIZES)
async def test_a_workspace_without_its_data_and_weights_is_a_reading_room(make_app, size) -> None:
    done = {"state": "done", **SCORES, "here": "data_missing"}
    app, _ = make_app(shown=with_results({(MODEL, "brain_mr"): done}, weights=False))
    async with app.run_test(size=size) as pilot:
        await until(pilot, "81.2 d")
        assert "reading: no data, no weights here" in seen(app)
    app, _ = make_app(shown=with_results({(MODEL, "brain_mr"): done}))
    async with app.run_test(size=size) as pilot:
        await until(pilot, "81.2 d")
        assert "reading: no data here" in seen(app)
    app, _ = make_app(shown=replace(survey(done=True), read_only=True))
    async with app.run_test(size=size) as pilot:
        await until(pilot, "81.2 ✓")
        assert "reading: read-only" in seen(app)


async def test_a_workspace_that_cannot_be_opened_says_why(make_app, monkeypatch: pytest.MonkeyPatch) -> None:
    app, client = make_app()

    async def refused() -> None:
        raise StoreError("there is no store at /w/store", "run an extraction first\nor choose another")

    monkeypatch.setattr(client, "start", refused)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "esc look around without it")
        await pilot.press("escape")
        screen = await until(pilot, "run an extraction first")
        assert "there is no store at /w/store" in screen
        assert "or choose another" in screen
        assert "looking at what is here" not in screen


async def test_hints_of_several_lines_keep_their_lines(make_app, tmp_path: Path, monkeypatch) -> None:
    app, _ = make_app(done=True)
    fill_store(tmp_path)

    async def refused(*_asked: object) -> None:
        raise ImageError("the picture needs the data folder", "--data brain_mr=DIR\ndownload and unpack")

    monkeypatch.setattr(app.pictures, "picture", refused)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "81.2 ✓")
        await pilot.press("f5", "right")
        screen = await until(pilot, "download and unpack")
        assert "--data brain_mr=DIR" in screen
        assert "\\x0a" not in screen
