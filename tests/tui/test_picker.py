"""Pointing to data: completion, what the engine finds, what is taken, and where the cursor is afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.core.workspace import data_folders
from medvlm_tui.tui.home.paths import completed, named_folder
from tests.made.recorded import survey
from tests.tui.conftest import SIZES, seen, until
from tests.tui.test_screens import sent


def found(top: Path) -> events.DataFound:
    def candidate(dataset: str, name: str, place: str, **more: object) -> dict[str, object]:
        base = {"dataset": dataset, "name": name, "root": str(top / place), "images": 600, "classes": 4}
        return {**base, "published_n": 2870 if dataset else 0, "note": "layout fits", "chosen": bool(dataset), **more}

    return events.DataFound(
        str(top),
        (
            candidate("brain_mr", "brain_mr", "brain_mri", note="layout fits, testing (100) kept apart"),
            candidate("breakhis", "breakhis", "b/BreaKHis_v1"),
            candidate("", "scans", "my\x1b[31mscans", images=412),
        ),
        ("nifti",),
        seconds=0.4,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("brain_mri", "b/BreaKHis_v1", "my\x1b[31mscans"):
        (tmp_path / "data" / name).mkdir(parents=True)
    return tmp_path / "data"


def type_in(app, text: str) -> None:  # type: ignore[no-untyped-def]
    field = app.screen.query_one("#data-input")
    field.value = text
    field.cursor_position = len(text)


@pytest.mark.parametrize("size", SIZES)
async def test_several_datasets_are_taken_at_once_and_kept(make_app, tmp_path: Path, folder: Path, size) -> None:
    app, client = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("o")
        await until(pilot, "NAME=DIR")
        type_in(app, str(folder))
        await until(pilot, "looking ...")
        assert client.sent[-1] == {"cmd": "look", "path": str(folder)}
        client.say(found(folder))
        screen = await until(pilot, "found below it (0.4 s)")
        assert "[x] Brain MR" in screen
        assert "[ ] own: scans" in screen
        assert "600 of 2,870" in screen
        assert "nothing in: nifti" in screen
        assert "\x1b[31m" not in screen
        await pilot.press("tab", "down", "space", "down", "space", "r")
        await until(pilot, "in tables and on the command line")
        type_in(app, "phantom")
        await pilot.press("enter")
        await until(pilot, "there is a dataset phantom already")
        await pilot.press("r")
        await until(pilot, "in tables and on the command line")
        type_in(app, "mine")
        await pilot.press("enter")
        await until(pilot, "[x] own: mine")
        await pilot.press("enter")
        await until(pilot, "600 images")
        given = {"brain_mr": str(folder / "brain_mri"), "mine": str(folder / "my\x1b[31mscans")}
        assert sent(client, "survey")[-1]["data"] == given
        assert app.selection.dataset == "brain_mr"
        assert "Brain MR" in app.screen.query_one("#detail").border_title
    assert data_folders.read(tmp_path) == given


async def test_the_cursor_waits_for_a_new_dataset(make_app, folder: Path) -> None:
    app, client = make_app(shown=survey(done=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "81.2")
        await pilot.press("o")
        await until(pilot, "NAME=DIR")
        type_in(app, f"busi={folder}")
        await pilot.press("enter")
        await until(pilot, "81.2")
        await pilot.pause(0.1)
        assert app.selection.dataset == "busi", "the survey of it has not come yet"
        shown = survey(done=True)
        row = replace(shown.datasets[0], id="busi", name="busi", state="ready", images=72)
        client.say(events.Survey(shown.models, (*shown.datasets, row), shown.cells, "cpu", 1))
        await until(pilot, "72 images")
        assert app.screen.query_one("#matrix").datasets[app.screen.query_one("#matrix").column].id == "busi"


async def test_a_single_dataset_is_taken_by_enter_alone(make_app, folder: Path) -> None:
    app, client = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("o")
        await until(pilot, "NAME=DIR")
        type_in(app, str(folder / "brain_mri"))
        await pilot.press("enter")
        await until(pilot, "looking ...")
        one = found(folder).candidates[0]
        client.say(events.DataFound(str(folder / "brain_mri"), (one,)))
        await until(pilot, "600 images")
    assert sent(client, "survey")[-1]["data"] == {"brain_mr": str(folder / "brain_mri")}


async def test_an_answer_about_another_path_is_not_shown(make_app, folder: Path) -> None:
    app, client = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("o")
        await until(pilot, "NAME=DIR")
        type_in(app, str(folder / "b"))
        await until(pilot, "looking ...")
        client.say(found(folder))
        await pilot.pause(0.1)
        assert "[x]" not in seen(app)
        client.say(events.DataFound(str(folder / "b"), problem="there is too much below it"))
        await until(pilot, "there is too much below it")


async def test_a_folder_is_taken_out_again(make_app, tmp_path: Path, folder: Path) -> None:
    data_folders.remember(tmp_path, {"brain_mr": str(folder)})
    app, client = make_app(done=True)
    app.request.data.update(data_folders.read(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "81.2")
        app.selection.dataset = "brain_mr"
        app.screen.update()
        await pilot.press("delete")
        await until(pilot, "d data missing")
        assert "is taken out; its results stay" in next(iter(app._notifications)).message
        assert sent(client, "survey")[-1]["data"] == {}
        await pilot.press("delete")
        await pilot.pause()
        assert [told.message for told in app._notifications][-1] == "no folder is given for Brain MR"
    assert data_folders.read(tmp_path) == {}


def test_a_path_is_completed_as_far_as_it_is_clear(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "list.csv").touch()
    (folder / "photo.png").touch()
    (folder / ".hidden").mkdir()
    assert completed(f"{folder}/br") == (f"{folder}/brain_mri/", ["brain_mri/"])
    assert completed(f"{folder}/b") == (f"{folder}/b", ["b/", "brain_mri/"])
    assert completed(f"{folder}/l")[0] == f"{folder}/list.csv"
    assert completed(f"{folder}/p") == (f"{folder}/p", [])
    assert ".hidden/" not in completed(f"{folder}/")[1]
    assert completed(f"{folder}/.h")[0] == f"{folder}/.hidden/"
    assert completed(f"mr={folder}/br")[0] == f"mr={folder}/brain_mri/"
    assert completed("/nowhere/at/all") == ("/nowhere/at/all", [])
    monkeypatch.setenv("HOME", str(folder))
    assert completed("~/br")[0] == "~/brain_mri/"


def test_what_is_typed_is_a_name_and_a_folder(folder: Path) -> None:
    assert named_folder(f"mr={folder}") == ("mr", str(folder), "")
    assert named_folder(f"{folder}/") == ("", str(folder), "")
    (folder / "a=b").mkdir()
    assert named_folder(f"{folder}/a=b") == ("", str(folder / "a=b"), "")
    assert named_folder("mr=/nowhere")[2] == "there is nothing at /nowhere"
    assert named_folder("")[2]
