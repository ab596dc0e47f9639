"""The engine dies, a run of another front end, a run from before the screens were opened: the screen shows what is."""

from __future__ import annotations

from medvlm_tui.core import events
from medvlm_tui.stages.request import RunRequest
from tests.made.recorded import DATASET, MODEL, plan
from tests.tui.conftest import confirm, until

EXTRACT = f"extract:{MODEL}:{DATASET}"
REQUEST = RunRequest(models=(MODEL,), datasets=(DATASET,))


async def test_the_screen_survives_the_engine_and_starts_another(make_app) -> None:
    app, recorded = make_app(dies_on="run")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        screen = await until(pilot, "The engine stopped")
        assert "exit status -9" in screen
        assert "engine.log" in screen
        assert "last [/] words" in screen
        await pilot.press("r")
        await pilot.pause()
        assert recorded.starts == 2
        assert not app.board.running
        await pilot.press("f2", "enter")
        await confirm(pilot)
        await until(pilot, "finished in 12.3 s")


def tell_of_a_run(client, running: bool, at: float = 1_700_000_000.0) -> None:
    """Let the engine say what it says to a front end that comes in the middle of a run."""
    client.say(events.Attached("run-1", running))
    client.say(events.RunAsked("run-1", REQUEST.to_record(), "engine", at=at))
    client.say(events.PlanReady("run-1", plan((MODEL,), (DATASET,)).to_record(), at=at))
    client.say(events.StepStarted(EXTRACT, at=at))
    for done in range(60, 181, 60):
        client.say(events.StepProgress(EXTRACT, done, 360, 30.0, 6.0, at=at))
    client.say(events.CaughtUp("run-1", running))


async def test_a_run_that_was_under_way_before_is_shown_as_it_stands(make_app) -> None:
    app, client = make_app(place="run")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "Queue")
        tell_of_a_run(client, running=True)
        screen = await until(pilot, "180 / 360")
        assert "running 0/6 steps" in screen
        assert app.board.request == REQUEST
        client.say(events.StepProgress(EXTRACT, 216, 360, 31.5, 4.6))
        await until(pilot, "216 / 360")
        client.say(events.CancelAsked("run-1"))
        await until(pilot, "cancelling: the step stops")
        client.say(events.RunFinished("run-1", 130, 0, 0, 0, 6, 3.0))
        await until(pilot, "cancelled in 3.0 s")


async def test_a_run_whose_process_was_killed_says_so_and_goes_on_when_asked(make_app) -> None:
    app, client = make_app(place="run")
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, "Queue")
        tell_of_a_run(client, running=False)
        screen = await until(pilot, "the process of this run was killed")
        assert "engine idle" in screen
        assert app.board.tasks[EXTRACT].state == "skipped"
        await pilot.press("r")
        await confirm(pilot)
        await until(pilot, "finished in 12.3 s")
    assert [command["request"] for command in client.sent if command["cmd"] == "run"] == [REQUEST.to_record()]


async def test_attaching_again_starts_from_the_beginning(make_app) -> None:
    app, client = make_app(place="run")
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, "Queue")
        for _ in range(2):
            tell_of_a_run(client, running=True)
        await until(pilot, "180 / 360")
        assert len(app.board.log) == 1, "the plan's warning, once"
        assert list(app.board.tasks[EXTRACT].rates) == [30.0] * 3


async def test_a_run_of_another_front_end_is_told_and_a_second_one_refused(make_app) -> None:
    app, client = make_app(hold=8)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, "try the phantom")
        client.say(events.RunRefused("", "a run is under way", "F3 shows it", 4))
        await until(pilot, "a run is under way")
        assert {"cmd": "watch"} in client.sent
        tell_of_a_run(client, running=True)
        await until(pilot, "running 0/6 steps")
        await pilot.press("f3")
        await until(pilot, "180 / 360")


async def test_leaving_with_a_run_can_cancel_it(make_app) -> None:
    app, client = make_app(hold=8)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "180 / 360")
        await pilot.press("q")
        await until(pilot, "Leave?")
        await pilot.press("c")
        await pilot.pause()
    assert {"cmd": "cancel"} in client.sent
    assert client.left
    assert not app.left_running


async def test_q_twice_leaves_and_the_run_goes_on(make_app) -> None:
    app, client = make_app(hold=8)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "180 / 360")
        await pilot.press("q", "q")
        await pilot.pause()
    assert client.left
    assert app.left_running
    assert {"cmd": "cancel"} not in client.sent


async def test_a_run_that_ends_while_one_is_asked_leaves_no_question(make_app) -> None:
    app, client = make_app(hold=8)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "180 / 360")
        await pilot.press("c", "q")
        await pilot.press("q", "q", "q")
        await pilot.pause()
    assert client.left
    assert app.return_code == 0


async def test_the_log_can_have_the_whole_place(make_app) -> None:
    app, client = make_app(place="run")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Queue")
        tell_of_a_run(client, running=True)
        for number in range(40):
            client.say(events.Log("info", f"line {number} of the log"))
        await until(pilot, "line 39 of the log")
        await pilot.press("o")
        screen = await until(pilot, "line 20 of the log")
        assert "Queue" not in screen
        assert "line 39 of the log" in screen
        await pilot.press("o")
        await until(pilot, "Queue")
