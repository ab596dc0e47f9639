"""A storm of resizes while a run reports progress: every place lives, and its last frame is of the last size."""

from __future__ import annotations

from pathlib import Path

from textual.events import Resize
from textual.geometry import Size
from textual.pilot import Pilot

from medvlm_tui.core import events
from tests.made.recorded import DATASET, MODEL, RecordedClient, fill_store
from tests.tui.conftest import seen, until

EXTRACT = f"extract:{MODEL}:{DATASET}"
RESIZES = 100
SIZES = ((80, 24), (200, 60), (20, 6), (120, 40), (81, 25), (60, 15), (160, 48))
LAST_SIZES = ((160, 48), (80, 24))
PLACES = {
    "f2": "home",
    "f3": "run",
    "f4": "scores",
    "f5": "map",
    "f6": "saliency",
    "f7": "bias",
    "f8": "data",
    "f9": "settings",
}


def resize(pilot: Pilot[int], size: tuple[int, int]) -> None:
    """Let the terminal change, without waiting for the screen as `Pilot.resize_terminal` does."""
    driver = pilot.app._driver
    driver._size = Size(*size)
    pilot.app.post_message(Resize(Size(*size), Size(*size)))


async def storm(pilot: Pilot[int], client: RecordedClient, first: int) -> None:
    """Resize a hundred times, a report of progress after each, twenty of both before the screen gets a breath."""
    for number in range(first, first + RESIZES):
        resize(pilot, SIZES[number % len(SIZES)])
        client.say(events.StepProgress(EXTRACT, number, 1000, 30.0, 5.0, waiting=0.5, quarantined=1))
        if number % 20 == 19:
            await pilot.pause(0.001)


async def settled(pilot: Pilot[int], size: tuple[int, int]) -> str:
    """Return the frame after the terminal was given its last size and everything has been drawn."""
    resize(pilot, size)
    for _ in range(5):
        await pilot.pause(0.02)
    return seen(pilot.app)  # type: ignore[arg-type]


async def test_a_hundred_resizes_during_a_run_on_every_place(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, client = make_app(done=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "81.2")
        client.hold = 4
        await app.start_run((MODEL,), (DATASET,))
        for place, key in enumerate(PLACES):
            await pilot.press(key)
            await pilot.pause()
            assert app.screen.place == PLACES[key]
            await storm(pilot, client, first=RESIZES * place)
            last = LAST_SIZES[place % 2]
            stormed = await settled(pilot, last)
            lines = stormed.splitlines()
            assert len(lines) == last[1]
            assert "medvlm-tui" in lines[0]
            assert app.board.tasks[EXTRACT].done == RESIZES * (place + 1) - 1
            if key == "f3":
                assert f"{RESIZES * (place + 1) - 1:,} / 1,000 images" in stormed
            # What a calm terminal shows at this size.
            await settled(pilot, (100, 30))
            assert await settled(pilot, last) == stormed, PLACES[key]
