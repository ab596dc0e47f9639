"""A workspace that cannot be written is read by a process of the front end alone."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from medvlm_tui.core.events import CaughtUp, Event, PlanReady, ResultReady, RunRefused, Survey
from medvlm_tui.errors import MedvlmError
from medvlm_tui.service.client import EngineClient
from medvlm_tui.service.reading_client import ReadingClient, client_of
from medvlm_tui.stages.request import RunRequest
from tests.engine.run.test_survey import RESULTS, note_run
from tests.made.recorded import MODEL, fill_store


@asynccontextmanager
async def reading(root: Path) -> AsyncIterator[ReadingClient]:
    client = ReadingClient(root)
    await client.start()
    try:
        yield client
    finally:
        await client.leave()


async def test_results_are_read_and_nothing_runs(tmp_path: Path) -> None:
    fill_store(tmp_path)
    note_run(tmp_path, "20260101-000000-aaaa", RunRequest(limit=30))
    request = RunRequest(device="cpu", models=(MODEL,), datasets=("phantom",)).to_record()
    heard: list[Event] = []
    async with reading(tmp_path) as client:
        for command in ("survey", "plan", "run"):
            await client.send({"cmd": command, "request": request})
        async for event in client.events():
            heard.append(event)
            if isinstance(event, RunRefused):
                break
    assert [type(event) for event in heard if isinstance(event, ResultReady)] == [ResultReady] * len(RESULTS)
    assert any(isinstance(event, CaughtUp) and not event.running for event in heard)
    (survey,) = [event for event in heard if isinstance(event, Survey)]
    assert survey.read_only
    assert [cell.accuracy for cell in survey.cells if cell.dataset == "scans" and "probe" in cell.keys] == [0.8125]
    assert any(isinstance(event, PlanReady) for event in heard)
    refused = heard[-1]
    assert isinstance(refused, RunRefused)
    assert refused.error == f"the workspace {tmp_path} is read-only: nothing can run in it"


async def test_a_folder_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(MedvlmError, match="there is no store at"):
        await ReadingClient(tmp_path).start()


def test_only_a_workspace_that_cannot_be_written_is_read_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(client_of(tmp_path), EngineClient)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert isinstance(client_of(tmp_path), ReadingClient)
    assert isinstance(client_of(tmp_path / "new"), EngineClient)
