"""What a batch run says: bars on a terminal, plain lines elsewhere, and no control character of anybody else's."""

from __future__ import annotations

import io
import json

import pytest

from medvlm_tui.batch.display import BarDisplay, JsonDisplay, PlainDisplay, choose_display
from medvlm_tui.core import events
from medvlm_tui.core.plan import Plan, Step

HOSTILE = "extract:m:\x1b]52;c;x\x07[/]"
RUN: list[events.Event] = [
    events.PlanReady("r", Plan("r", (Step(HOSTILE, "extract", images=20),)).to_record()),
    events.StepStarted(HOSTILE),
    events.StepProgress(HOSTILE, 5, 20, 2.5, 6.0, waiting=0.208, quarantined=1),
    events.Log("warning", "odd \x9b31m name"),
    events.ResultReady(HOSTILE, "extract", "k", summary={"rows": 20, "rate": 2.51234}),
    events.StepFailed("probe:m:d", "broken", "mend it"),
    events.RunFinished("r", 1, 1, 0, 1, 0, 3.0),
]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_display_fits_the_place() -> None:
    assert isinstance(choose_display(True, io.StringIO(), Terminal()), JsonDisplay)
    assert isinstance(choose_display(False, io.StringIO(), Terminal()), BarDisplay)
    assert isinstance(choose_display(False, io.StringIO(), io.StringIO()), PlainDisplay)


def test_plain_lines_tell_the_run() -> None:
    out = io.StringIO()
    with PlainDisplay(out) as display:
        for event in RUN:
            display.show(event)
    lines = out.getvalue().splitlines()
    assert lines[0] == "run r: 1 step, 0 already done, 20 images to encode"
    assert lines[2].endswith("5/20 images, 2.5/s, 0:06 left, 1 quarantined, waiting 21 % for decoding")
    assert lines[3] == "warning: odd \\x9b31m name"
    assert lines[4].endswith("rows 20, rate 2.512")
    assert lines[5:7] == ["FAIL  probe:m:d: broken", "      mend it"]
    assert not set("\x1b\x07\x9b") & set(out.getvalue())


def test_json_lines_are_the_events() -> None:
    out = io.StringIO()
    with JsonDisplay(out) as display:
        for event in RUN:
            display.show(event)
    read = [json.loads(line)["type"] for line in out.getvalue().splitlines()]
    assert read == [type(event).__name__ for event in RUN]


@pytest.mark.parametrize("colour", [True, False])
def test_bars_show_the_step_and_leave_nothing_of_a_name(monkeypatch: pytest.MonkeyPatch, colour: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    with BarDisplay(out) as display:
        for event in RUN:
            display.show(event)
    text = out.getvalue()
    assert "done  extract:m:\\x1b]52;c;x\\x07[/]  rows 20" in text
    assert "FAIL  probe:m:d: broken" in text
    assert "\x1b]52" not in text
    assert "\x9b" not in text
