"""A program over a recorded engine, and what its screen says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.app import MedvlmApp
from tests.made.recorded import RecordedClient

SIZES = ((80, 24), (160, 48))


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The colours of whoever runs the tests change nothing."""
    for name in ("NO_COLOR", "TEXTUAL_COLOR_SYSTEM", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., tuple[MedvlmApp, RecordedClient]]:
    """Return a maker of programs; its arguments are RecordedClient's."""

    def make(
        request: RunRequest | None = None, place: str = "home", **recorded: object
    ) -> tuple[MedvlmApp, RecordedClient]:
        client = RecordedClient(**recorded)  # type: ignore[arg-type]
        return MedvlmApp(tmp_path, client=client, request=request, place=place), client

    return make


def seen(app: MedvlmApp) -> str:
    """Return what is on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def until(pilot: Pilot[int], text: str, tries: int = 500) -> str:
    """Wait until the screen says `text`; returns the screen."""
    for _ in range(tries):
        await pilot.pause(0.02)
        if text in (screen := seen(pilot.app)):  # type: ignore[arg-type]
            return screen
    raise AssertionError(f"{text!r} never came:\n{screen}")
