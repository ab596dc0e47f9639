"""The queue and the history on the screen of the run, by keys alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.core.workspace.past_runs import StepTime, Summing
from medvlm_tui.core.workspace.run_journal import RunFile
from medvlm_tui.service.run_queue import Waiting
from medvlm_tui.stages.request import RunRequest
from tests.made.recorded import DATASET, MODEL, fill_store
from tests.tui.conftest import SIZES, confirm, seen, until
from tests.tui.test_hostile import NAMES, RAW


def queued(*requests: RunRequest, paused: bool = False) -> events.QueueChanged:
    waiting = (asdict(Waiting(f"id{number}", one.to_record(), 0.0)) for number, one in enumerate(requests))
    return events.QueueChanged(tuple(waiting), paused)


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_is_queued_behind_the_one_under_way_moved_paused_and_dropped(make_app, size) -> None:
    app, client = make_app(hold=8)
    first, second = (
        RunRequest(models=(MODEL,), datasets=(DATASET,)),
        RunRequest(models=("resnet50",), stages=("check",)),
    )
    async with app.run_test(size=size) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "180 / 360")
        await pilot.press("f2", "r")
        await until(pilot, "enter queues this one behind it")
        await pilot.press("enter")
        await pilot.pause(0.05)
        (added,) = [one for one in client.sent if one["cmd"] == "queue"]
        assert (added["do"], added["request"]["models"]) == ("add", (MODEL,))
        client.say(queued(first, second))
        await pilot.press("f3")
        screen = await until(pilot, "1 q EfficientNet-Lite0 × Phantom")
        assert "2 q ResNet50 · check" in screen
        await pilot.press("home", "down")
        await until(pilot, "Waits: ResNet50")
        assert "--models resnet50" in app.screen.query_one("#step").content.plain
        await pilot.press("minus", "plus", "d", "p")
        await pilot.pause(0.05)
        asked = [(one["do"], one.get("id", ""), one.get("step", "")) for one in client.sent if one["cmd"] == "queue"]
        assert asked[1:] == [
            ("move", "id1", "-1"),
            ("move", "id1", "1"),
            ("drop", "id1", ""),
            ("pause", "", ""),
        ]
        client.say(queued(first, paused=True))
        await until(pilot, "waiting, paused (p goes on)")
        await pilot.press("p")
        await pilot.pause(0.05)
        assert client.sent[-1] == {"cmd": "queue", "do": "resume"}
    assert len([one for one in client.sent if one["cmd"] == "run"]) == 1


def ended(workspace: Path, name: str, request: RunRequest, *failures: tuple[str, str, str], files: int = 1) -> None:
    """Write a run as an engine leaves it."""
    out = workspace / "exports" / name
    out.mkdir(parents=True)
    with RunFile(workspace / "runs" / name) as file:
        file.append(events.RunAsked(name, request.to_record(), "engine"))
    summing = Summing(request.to_record(), "engine")
    summing.steps.append(StepTime("extract", MODEL, DATASET, 95.0, 360))
    summing.failures += failures
    summing.files += [str(out / "results.csv"), str(out / "gone.csv")]
    if files:
        (out / "results.csv").touch()
    summing.write(
        workspace / "runs" / name, events.RunFinished(name, 1 if failures else 0, 5, 1, 0, 0, 200.0, str(out))
    )


@pytest.mark.parametrize("size", SIZES)
async def test_the_history_tells_of_each_run_and_runs_it_again(make_app, tmp_path: Path, size) -> None:
    fill_store(tmp_path)
    request = RunRequest(models=(MODEL,), datasets=(DATASET,), seed=7)
    ended(tmp_path, "20260102-000000-aaaa", request, ("probe:m:d", "too few images", "add some"))
    ended(tmp_path, "20260101-000000-aaaa", RunRequest(models=("resnet50",)), files=0)
    app, client = make_app(done=True)
    async with app.run_test(size=size) as pilot:
        await until(pilot, "81.2")
        await pilot.press("f3", "h")
        await until(pilot, "with failures")
        screen = app.screen.query_one("#run-about").content.plain
        assert "5 computed, 1 there already" in screen
        assert "--seed 7" in screen
        assert "probe:m:d: too few images" in screen
        assert "1 of 2 files in" in screen
        assert "results.csv" in screen
        assert "gone.csv" not in screen
        await pilot.press("y")
        assert "--seed 7" in await until(pilot, "command line")
        await pilot.press("escape", "down")
        await pilot.pause(0.05)
        assert "its 2 files are gone" in app.screen.query_one("#run-about").content.plain
        await pilot.press("up", "r")
        await confirm(pilot)
        await until(pilot, "finished in 12.3 s")
        await pilot.press("h")
        await until(pilot, "with failures")
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert app.screen.place == "scores"
    (run,) = [one["request"] for one in client.sent if one["cmd"] == "run"]
    assert RunRequest.from_record(run) == request
    assert (app.selection.model, app.selection.dataset) == (MODEL, DATASET)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_hostile_names_of_runs_are_shown_as_text(make_app, tmp_path: Path, name: str) -> None:
    safe = name.encode("utf-8", "replace").decode()
    request = RunRequest(models=(safe,), datasets=(safe,), data={safe: f"/{safe}"})
    ended(tmp_path, "20260102-000000-aaaa", request, (name, name, name))
    app, client = make_app(done=True, name=name)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "81.2")
        client.say(queued(request, request))
        for key in (
            "f3",
            "home",
            "down",
            "full_stop",
            "escape",
            "y",
            "escape",
            "h",
            "y",
            "y",
            "r",
            "escape",
            "question_mark",
        ):
            await pilot.press(key)
            await pilot.pause(0.1)
            assert not RAW.search(seen(app)), repr(RAW.search(seen(app)))
        assert app.is_running
