"""Every screen as plain text at 80x24 and 160x48, over recorded events and a made store.

python -m tests.tui.test_snapshots     writes the pictures in `snapshots/` anew; look at what changed
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from textual.pilot import Pilot

from medvlm_tui.core import events
from medvlm_tui.core.events import ResultReady, RunAsked, to_json
from medvlm_tui.core.store.store import Store
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.app import MedvlmApp
from tests.made.recorded import DATASET, KEYS, MODEL, RecordedClient, changed, fill_store, survey
from tests.tui import test_data
from tests.tui.conftest import SIZES, seen, until
from tests.tui.test_bias import fill_lab

FOLDER = Path(__file__).with_name("snapshots")
# Key, name, and words that are on the screen once everything is drawn.
SCREENS = (
    ("1", "home", "81.2"), ("2", "run", "finished in 12.3 s"), ("3", "scores", "81.2"), ("4", "map", "trust 0.96"),
    ("5", "saliency", "image 1 of 3"), ("6", "bias", "with text"), ("7", "data", "Split by image"),
    ("8", "verdict", "not separated from the best"), ("9", "settings", "Settings"),
    ("question_mark", "help", "type to search"),
)  # fmt: skip
RANKED = ("resnet50", MODEL, "biomedclip")


def fill(workspace: Path) -> None:
    """Store a result of every kind that a screen shows, and the run that made the verdict."""
    fill_store(workspace)
    fill_lab(workspace, "lab-1", 0.2)
    test_data.fill(workspace, test_data.check_record())
    example = VerdictRecord.example()
    rows = zip(RANKED, example.candidates, strict=True)
    candidates = tuple(replace(candidate, model=model) for model, candidate in rows)
    with Store(workspace / "store") as store:
        store.put_result("verdict-1", {}, replace(example, candidates=candidates))
    said = [RunAsked("run-0", RunRequest().to_record(), "batch")]
    for kind, detail in (("extract", ""), ("probe", "paper"), ("saliency", "")):
        step = ":".join(filter(None, (kind, MODEL, DATASET, detail)))
        said.append(ResultReady(step, kind, KEYS[kind], MODEL, DATASET))  # type: ignore[arg-type]
    said.append(ResultReady("verdict:*:phantom:paper", "verdict", "verdict-1", "", DATASET))  # type: ignore[arg-type]
    journal = workspace / "runs" / "20260101-000000-aaaa" / "events.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("".join(f"{to_json(event)}\n" for event in said))


def everything() -> events.Survey:
    """The recorded survey with all of that."""
    said = survey(done=True)
    datasets = [
        replace(row, check=test_data.KEY, verdicts={"paper": "verdict-1"}) if row.id == DATASET else row
        for row in said.datasets
    ]
    cells = [
        changed(cell, bias="lab-1") if (cell.model, cell.dataset) == (MODEL, DATASET) else cell for cell in said.cells
    ]
    return replace(said, datasets=tuple(datasets), cells=tuple(cells))


async def pictures(folder: Path, size: tuple[int, int]) -> dict[str, str]:
    """Return every screen's text by its name."""
    workspace = folder / "w"
    fill(workspace)
    app = MedvlmApp(workspace, client=RecordedClient(shown=everything()))
    found = {}
    with (
        patch("time.strftime", lambda form, *_: "12:00:00"),
        patch("medvlm_tui.settings.sources.config_file", lambda: Path("/home/you/.config/medvlm-tui/settings.toml")),
        patch.dict(os.environ, {"HOME": str(folder)}),
    ):
        async with app.run_test(size=size) as pilot:
            await until(pilot, "81.2")
            app.selection.model, app.selection.dataset = MODEL, DATASET
            await app.start_request(RunRequest(models=(MODEL,), datasets=(DATASET,)))
            await until(pilot, "finished in 12.3 s")
            for key, name, words in SCREENS:
                await pilot.press(key)
                await until(pilot, words)
                found[name] = plain(await still(pilot))
    return found


async def still(pilot: Pilot[int]) -> str:
    """Return the screen once it has stopped changing."""
    before = ""
    for _ in range(50):
        await pilot.pause(0.1)
        if before == (now := seen(pilot.app)):  # type: ignore[arg-type]
            return now
        before = now
    raise AssertionError(f"the screen never came to rest:\n{before}")


def plain(screen: str) -> str:
    """Return a screen without blanks at the ends of its lines."""
    return "\n".join(line.rstrip() for line in screen.splitlines()) + "\n"


def file(name: str, size: tuple[int, int]) -> Path:
    return FOLDER / f"{name}-{size[0]}x{size[1]}.txt"


@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_looks_as_it_did(tmp_path: Path, size: tuple[int, int]) -> None:
    changed = []
    for name, screen in (await pictures(tmp_path, size)).items():
        expected = file(name, size).read_text()
        if screen != expected:
            changed += [f"--- {name}, expected", expected, f"--- {name}, now", screen]
    assert not changed, "\n".join([*changed, "if this is meant: python -m tests.tui.test_snapshots"])


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            for name, screen in asyncio.run(pictures(Path(folder), size)).items():
                file(name, size).write_text(screen)


if __name__ == "__main__":
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    os.environ.pop("NO_COLOR", None)
    sys.exit(main())
