"""Home over a store with results: what was computed is shown, whatever is missing today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medvlm_tui.core import events
from medvlm_tui.core.survey import Cell, row_of
from medvlm_tui.errors import ImageError, StoreError
from medvlm_tui.tui.shared.matrix import Matrix
from tests.made.recorded import DATASET, KEYS, MODEL, fill_store, survey, survey_of
from tests.tui.conftest import SIZES, seen, until

MISSING = {"state": "data_missing", "images": 0}
SCORES = {"accuracy": 0.8125, "std": 0.021, "macro_f1": 0.8, "t": 1.0, "table": KEYS["extract"], "probe": KEYS["probe"]}


def with_results(cells: Mapping[tuple[str, str], Mapping[str, Any]], weights: bool = True) -> events.Survey:
    """A survey with these cells changed; without `weights` no model has any."""
    base = survey()
    models = tuple(row if weights else replace(row, state="weights_missing") for row in base.models)
    own = [{"model": cell.model, "dataset": cell.dataset, "state": cell.state} for cell in base.cells]
    changed = [row_of({**cell, **cells.get((cell["model"], cell["dataset"]), {})}, Cell) for cell in own]
    return replace(base, models=models, cells=tuple(changed))


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
        assert f"of other settings: {differs}" in await until(pilot, "of other settings")
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


@pytest.mark.parametrize("size", [*SIZES, (120, 40)])
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
    app, _ = make_app(shown=replace(with_results({(MODEL, "brain_mr"): done}, weights=False), read_only=True))
    async with app.run_test(size=size) as pilot:
        await until(pilot, "81.2 d")
        assert "reading: read-only, no data, no weights here" in seen(app)


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


WALL = (
    *(("medical", f"m{number}", "weights_missing") for number in range(30)),
    *(("general", f"g{number}", "weights_missing") for number in range(16)),
    ("general", MODEL, "ready"),
)


def wall(cells: Mapping[tuple[str, str], Mapping[str, Any]] | None = None, data: tuple[str, ...] = ()) -> events.Survey:
    """47 models, of which one has weights, and nine datasets, of which only the phantom and `data` are here."""
    models = tuple({"id": name, "name": f"Model {name}", "group": group, "state": state} for group, name, state in WALL)
    datasets = tuple(
        {"id": name, "name": f"Set {name}", "state": "ready" if name in (*data, DATASET) else "data_missing",
         "images": 9 if name in data else 0, "synthetic": name == DATASET}
        for name in (*"abcdefgh", DATASET)
    )  # fmt: skip
    made = tuple(
        {"model": model, "dataset": dataset, "state": "done", **SCORES, **more}
        for (model, dataset), more in (cells or {}).items()
    )
    return survey_of(models, datasets, made)


@pytest.mark.parametrize("size", SIZES)
async def test_what_has_results_or_can_run_comes_first_and_absent_groups_are_folded(make_app, size) -> None:
    shown = wall({("m7", "f"): {"here": "data_missing"}, (MODEL, "f"): {"accuracy": 0.7}}, data=("c",))
    app, _ = make_app(shown=shown)
    async with app.run_test(size=size) as pilot:
        screen = await until(pilot, "81.2 d")
        matrix = app.screen.query_one(Matrix)
        assert [axis.id for axis in matrix.models if axis.id] == ["m7", MODEL]
        assert [axis.id for axis in matrix.datasets] == ["f", "c", DATASET, *"abdegh"]
        assert "70.0 ✓" in screen
        assert "29 more not here" in screen
        assert "16 more not here" in screen
        assert (matrix.row, matrix.column, matrix.left, matrix.top) == (1, 0, 0, 0)
        await pilot.press("a")
        assert len([axis for axis in matrix.models if axis.id]) == len(WALL)
        assert "all models" in await until(pilot, "all models")
        assert next(axis.id for axis in matrix.models if axis.id) == "m7"
        await pilot.press("a")
        await until(pilot, "results alone")
        assert [axis.id for axis in matrix.datasets] == ["f"]
        await pilot.press("a", "slash", *"Model m3")
        await pilot.pause()
        assert [axis.id for axis in matrix.models if axis.id] == ["m3"], "a filter looks through all models"


async def test_a_group_of_which_nothing_is_here_is_one_line(make_app) -> None:
    app, _ = make_app(shown=wall({(MODEL, DATASET): {}}))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await until(pilot, "81.2 ✓")
        assert "Medical  30 not here" in screen
        assert app.screen.query_one(Matrix).datasets[0].id == DATASET
        assert (app.selection.model, app.selection.dataset) == (MODEL, DATASET)


async def test_a_filter_without_a_match_names_no_hidden_cell(make_app) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "81.2 ✓")
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, "no model matches zzz: esc clears the filter")
        detail = app.screen.query_one("#detail")
        assert detail.border_title is None
        assert "macro F1" not in seen(app)
        await pilot.press("escape")
        assert "macro F1" in await until(pilot, "macro F1")


async def test_the_phantom_is_offered_while_nothing_is_computed(make_app) -> None:
    app, client = make_app(shown=wall(data=("c",)))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await until(pilot, "nothing is computed yet")
        assert "p tries the phantom" in screen
        await pilot.press("p")
        await pilot.pause()
        asked = [command["request"] for command in client.sent if command["cmd"] in ("plan", "run")]
        assert [(request["models"], request["datasets"]) for request in asked] == [((MODEL,), (DATASET,))]
    app, _ = make_app(done=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "81.2 ✓")
        assert "tries the phantom" not in seen(app)
