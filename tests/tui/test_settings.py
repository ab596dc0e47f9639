"""The settings place: every option with its value and source, changed for now, undone, and written to the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from medvlm_tui.settings.options import OPTIONS
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.doctor import screen as doctor_screen
from medvlm_tui.tui.doctor.add_model import model_name
from medvlm_tui.tui.doctor.program import Ended
from medvlm_tui.tui.settings.form import ELSEWHERE, Form, form_rows
from medvlm_tui.tui.shared.rows import Rows
from medvlm_tui.tui.state.selection import run_request
from tests.tui.conftest import SIZES, seen, until


@pytest.fixture(autouse=True)
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "settings.toml"
    monkeypatch.setenv("MEDVLM_CONFIG", str(file))
    return file


async def stand_on(pilot: Pilot[int], option: str) -> None:
    """Open the settings and put the cursor on an option."""
    await pilot.press("f9")
    await until(pilot, "Settings")
    rows = pilot.app.screen.query_one("#form", Rows)
    rows._put(next(index for index, row in enumerate(rows.rows) if row.id == option))
    await pilot.pause(0.02)


async def type_value(pilot: Pilot[int], text: str) -> None:
    """Give the option under the cursor another value."""
    await pilot.press("enter")
    await pilot.pause(0.05)
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")
    await pilot.pause(0.05)


def test_every_option_has_a_row_but_those_that_home_chooses() -> None:
    form = Form(RunRequest(), RunRequest(), {})
    assert {row.id for row in form_rows(form) if row.id} == OPTIONS.keys() - set(ELSEWHERE)


def test_the_source_of_a_value_is_told() -> None:
    given = RunRequest(seed=3, options={"folds": 4})
    form = Form(given, given.changed({"rise_masks": 4096}), {"seed": "settings file", "folds": "command line"})
    sources = {name: form.source(name) for name in ("seed", "folds", "rise_masks", "limit")}
    assert sources == {
        "seed": "settings file", "folds": "command line", "rise_masks": "this program", "limit": "default"
    }  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
async def test_a_value_is_changed_told_and_taken_back(make_app: Callable, size: tuple[int, int]) -> None:
    app, client = make_app()
    async with app.run_test(size=size) as pilot:
        await stand_on(pilot, "limit")
        assert "at most N images per class" in " ".join(seen(app).split())
        await type_value(pilot, "20")
        screen = await until(pilot, "limit 20 a class")  # in the top line
        assert "this program" in screen
        assert app.request.limit == 20
        assert client.sent[-1]["cmd"] == "survey"
        assert client.sent[-1]["request"]["limit"] == 20
        await pilot.press("f2")
        assert "limit 20 a class" in await until(pilot, "limit 20 a class")
        await stand_on(pilot, "limit")
        await pilot.press("delete")
        await pilot.pause(0.05)
        assert app.request == app.given
        assert "limit 20" not in seen(app)


async def test_a_wrong_value_is_refused_in_the_dialog(make_app: Callable) -> None:
    app, _ = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await stand_on(pilot, "rise_masks")
        for text, why in (("0", "rise-masks must be at least 1"), ("many", "'many' is not a whole number")):
            await type_value(pilot, text)
            await until(pilot, why)
            await pilot.press("escape")
        await stand_on(pilot, "window")
        await type_value(pilot, "[bold]x")
        await until(pilot, "'[bold]x' is not an intensity window")
    assert app.request == app.given


async def test_choices_are_walked_and_a_yes_is_turned_over(make_app: Callable) -> None:
    app, _ = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await stand_on(pilot, "rise_fill")
        await pilot.press("space", "space", "space", "space")
        assert app.request.of(SaliencyParams).fill == "black"
        await stand_on(pilot, "offline")
        await pilot.press("enter")
        assert app.request.offline


async def test_a_change_that_leaves_results_behind_asks_first(make_app: Callable) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, "81.2")
        await stand_on(pilot, "seed")
        await type_value(pilot, "9")
        screen = " ".join((await until(pilot, "This asks for other results")).split())
        assert "seed 0. They stay stored" in screen
        await pilot.press("escape")
        assert app.request.seed == 0
        await type_value(pilot, "9")
        await pilot.press("enter")
        assert app.request.seed == 9
        await stand_on(pilot, "workers")  # changes no number: no question
        await type_value(pilot, "2")
        assert app.request.workers == 2


async def test_a_named_number_of_masks_is_taken_by_a_first_look(make_app: Callable) -> None:
    app, _ = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await stand_on(pilot, "rise_masks")
        assert "takes 1024" in " ".join(seen(app).split())
        assert run_request(app.request, ("m",), ("d",)).of(SaliencyParams).masks == 1024
        await type_value(pilot, "4096")
        assert run_request(app.request, ("m",), ("d",)).of(SaliencyParams).masks == 4096
        await pilot.press("delete")
        assert app.request == app.given


async def test_a_value_is_written_to_the_file(make_app: Callable, settings_file: Path) -> None:
    settings_file.write_text("# mine\nseed = 0 # fixed\n[datasets.x]\nroot = '/x'\n")
    app, _ = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await stand_on(pilot, "rise_masks")
        await type_value(pilot, "700")
        await pilot.press("w")
        await pilot.pause(0.05)
        expected = "# mine\nseed = 0 # fixed\nrise_masks = 700\n[datasets.x]\nroot = '/x'\n"
        assert settings_file.read_text() == expected
        settings_file.write_text("x = '")
        await pilot.press("w")
        await pilot.pause(0.05)
        assert settings_file.read_text() == "x = '"


FINDINGS = [
    {"what": "Python", "state": "ok", "detail": "3.11.7", "fix": ""},
    {"what": "model far", "state": "missing", "detail": "absent", "fix": "hf download far"},
    {"what": "model [/]near\x1b[1m", "state": "ok", "detail": "/w/near", "fix": ""},
    {"what": "encoding", "state": "failed", "detail": "ASCII", "fix": "export LC_ALL=C.UTF-8"},
]


@pytest.mark.parametrize("size", SIZES)
async def test_the_doctor_lists_its_checks_and_copies_a_fix(
    make_app: Callable, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    asked: list[list[str]] = []

    async def answer(arguments: list[str], columns: int, lines: int) -> Ended:
        asked.append(arguments)
        assert (columns, lines) == size
        return Ended(1, json.dumps(FINDINGS), "")

    monkeypatch.setattr(doctor_screen, "run_program", answer)
    app, _ = make_app(request=RunRequest(weights={"uni": "/w/uni.bin"}, device="cpu"))
    async with app.run_test(size=size) as pilot:
        await pilot.press("f9", "d")
        screen = await until(pilot, "2 fine, 1 missing, 1 failed")
        order = [screen.index(name) for name in ("Python", "encoding", "[/]near", "model far")]
        assert order == sorted(order), "the machine first, then models with weights"
        assert "\x1b[1m" not in screen
        assert asked[0][:2] == ["doctor", "--json"]
        assert asked[0][-4:] == ["--weights", "uni=/w/uni.bin", "--device", "cpu"]
        await pilot.press("end", "y")
        assert app.clipboard == "hf download far"
        await pilot.press("home", "down", "enter")
        await until(pilot, "export LC_ALL=C.UTF-8")
        await pilot.press("y")
        await pilot.pause(0.05)
        assert app.clipboard == "export LC_ALL=C.UTF-8"
        await pilot.press("escape")
        await until(pilot, "Settings")


async def test_a_doctor_that_does_not_answer_is_told(make_app: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> Ended:
        return Ended(1, "", "Traceback\nOSError: no [bold]disk")

    monkeypatch.setattr(doctor_screen, "run_program", broken)
    app, _ = make_app()
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("f9", "d")
        await until(pilot, "the doctor did not answer: OSError: no [bold]disk")


async def test_a_model_that_was_tried_is_asked_for_in_the_next_survey(
    make_app: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medvlm_tui.tui.doctor import add_model

    asked: list[list[str]] = []

    async def answer(arguments: list[str]) -> Ended:
        asked.append(arguments)
        wrong = "timm:wrong" in arguments
        return Ended(3 * wrong, "", "medvlm-tui: timm:wrong has no weights here" * wrong)

    monkeypatch.setattr(add_model, "run_program", answer)
    app, client = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f9", "a")
        await pilot.pause(0.05)
        for text, said in (("resnet18", "begin with one of"), ("timm:wrong", "timm:wrong has no weights here")):
            pilot.app.screen.query_one(Input).value = text
            await pilot.press("enter")
            await until(pilot, said)
        surveys = len([each for each in client.sent if each["cmd"] == "survey"])
        pilot.app.screen.query_one(Input).value = "timm:resnet18"
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert asked[-1][:3] == ["models", "--add", "timm:resnet18"]
        assert len([each for each in client.sent if each["cmd"] == "survey"]) == surveys + 1


def test_a_typed_folder_is_a_local_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_name(" local:net ") == f"local:{tmp_path}/net"
    assert model_name("./net") == f"local:{tmp_path}/net"
    assert model_name("hf:org/name") == "hf:org/name"
    assert [model_name(text) for text in ("", "resnet18", "timm:", "pip:x")] == ["", "", "", ""]
