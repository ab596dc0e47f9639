"""Names from outside: markup and terminal sequences are shown as they are, on every screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from medvlm_tui.core import events
from tests.made.recorded import DATASET, MODEL, fill_store
from tests.tui.conftest import seen, until

NAMES = ("[/][bold[@click=app.bell]x", "\x1b]52;c;aGk=\x07\x9b31ma\u202eb\u200bx\ny\rz\udcff")
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ud800-\udfff]")


async def visited(pilot: Pilot[int], key: str) -> str:
    """Press a key, let the screen draw, and check that nothing raw is on it."""
    await pilot.press(key)
    await pilot.pause(0.1)
    screen = seen(pilot.app)  # type: ignore[arg-type]
    assert not RAW.search(screen), repr(RAW.search(screen))
    return screen


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_every_screen_shows_a_hostile_name_as_text(make_app, tmp_path: Path, name: str) -> None:
    label = name.encode("utf-8", "replace").decode()  # what a sealed table can hold
    fill_store(tmp_path, label=label)
    app, client = make_app(done=True, name=name)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "81.2")
        if name.startswith("["):
            assert name in seen(app)
        for key in (
            "m",
            "escape",
            "d",
            "escape",
            "question_mark",
            "escape",
            "o",
            "escape",
            "slash",
            "escape",
            "f4",
            "f5",
            "f6",
            "f3",
        ):
            await visited(pilot, key)
        step = f"extract:{MODEL}:{DATASET}"
        app.board.begin(app.request)
        for event in (
            events.PlanReady(
                "r",
                {
                    "run_id": "r",
                    "steps": [{"id": step, "kind": name, "model": name, "dataset": name, "needs": []}],
                    "warnings": [name],
                },
            ),
            events.DeviceStatus(name, name, name),
            events.StepProgress(step, 1, 2, 1.0, 1.0, name),
            events.Log("error", name),
            events.FileWritten(name, name),
            events.StepFailed(step, name, name),
            events.RunFinished("r", 1, 0, 0, 1, 0, 1.0, name),
        ):
            client.say(event)
        await visited(pilot, "f3")
        assert app.board.finished is not None
        app.tell(name)
        for key in ("f4", "x", "f2", "y"):
            await visited(pilot, key)
        assert app.is_running
