"""Home over a store with results: what was computed is shown, whatever is missing today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medvlm_tui.core import events
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
