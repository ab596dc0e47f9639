"""The history of runs: from summaries, and from events where a run has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.workspace.past_runs import FILE, Summing, past_runs
from medvlm_tui.core.workspace.run_journal import RunFile


def told(runs: Path, name: str, *said: events.Event) -> Path:
    with RunFile(runs / name) as file:
        file.append(events.RunAsked(name, {"seed": 4}, "engine"))
        for event in said:
            file.append(event)
    return runs / name


def test_a_run_is_summed_up_from_its_events(tmp_path: Path) -> None:
    step = Step("extract:m:d", "extract", "m", "d")
    end = events.RunFinished("r", 1, 1, 2, 1, 0, 9.5, "/out")
    summing = Summing({"seed": 4, "weights": {"m": "hf_" + "a" * 34}}, "engine")
    for event in (
        events.PlanReady("r", Plan("r", (step,)).to_record()),
        events.StepStarted(step.id),
        events.StepProgress(step.id, 10, 36),
        events.ResultReady(step.id, "extract", "k", "m", "d"),
        events.ResultReady("probe:m:d", "probe", "k", "m", "d", cached=True),
        events.StepFailed("bias:m:d", "why", "what to do"),
        events.FileWritten("/out/a.csv", "table"),
    ):
        summing.take(event)
    summing.write(told(tmp_path, "20260102-000000-aaaa", end), end)
    (found,) = past_runs(tmp_path)
    assert (found.exit_code, found.counts, found.seconds, found.out) == (1, (1, 2, 1, 0), 9.5, "/out")
    assert found.files == ("/out/a.csv",)
    assert found.failures == (("bias:m:d", "why", "what to do"),)
    ((kind, model, dataset, units),) = [(s.kind, s.model, s.dataset, s.units) for s in found.steps]
    assert (kind, model, dataset, units) == ("extract", "m", "d", 36)
    assert found.request["seed"] == 4
    assert "hf_aaaa" not in (tmp_path / "20260102-000000-aaaa" / FILE).read_text()


def test_runs_without_a_summary_are_read_from_their_ends_the_newest_first(tmp_path: Path) -> None:
    told(tmp_path, "20260101-000000-aaaa", events.Log("info", "x"), events.RunFinished("a", 0, 3, 0, 0, 0, 2.0, "/o"))
    told(tmp_path, "20260103-000000-aaaa", events.RunRefused("b", "no weights", "get them", 3))
    told(tmp_path, "20260102-000000-aaaa", events.StepStarted("extract:m:d"))
    told(tmp_path, "20260104-000000-aaaa")
    broken = tmp_path / "20260105-000000-aaaa"
    broken.mkdir()
    (broken / "events.jsonl").write_bytes(b"\xff\x00 no line\n")
    found = list(past_runs(tmp_path, but="20260104-000000-aaaa"))
    assert [run.exit_code for run in found] == [3, None, 0]
    assert found[0].failures == (("", "no weights", "get them"),)
    assert found[2].counts == (3, 0, 0, 0)
    assert all(run.request == {"seed": 4} for run in found)
    assert [run.run_id for run in past_runs(tmp_path, most=2)] == ["20260104-000000-aaaa"]


@pytest.mark.parametrize("text", ["[]", "{", json.dumps({"run_id": "x", "counts": [1]}), "[" * 100_000])
def test_a_damaged_summary_falls_back_to_the_events(tmp_path: Path, text: str) -> None:
    directory = told(tmp_path, "20260101-000000-aaaa", events.RunFinished("a", 0, 3, 0, 0, 0, 2.0, "/o"))
    (directory / FILE).write_text(text)
    (found,) = past_runs(tmp_path)
    assert found.seconds == 2.0
