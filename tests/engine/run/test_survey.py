"""What the survey says of results whose data, weights or settings are not those of today."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import t

from medvlm_tui.core.events import Event, ResultReady, RunAsked, Survey, to_json
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.survey import Cell
from medvlm_tui.core.workspace.results_index import ResultsIndex
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.stored_results import OTHERWISE
from medvlm_tui.service.engine import Engine
from medvlm_tui.stages import VERSIONS
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.request import RunRequest
from tests.made.recorded import KEYS, fill_store

MODEL, N = "efficientnet_lite0", 60  # images in the table of `fill_store`


def ready(kind: str, key: str, detail: str = "", model: str = MODEL, dataset: str = "scans") -> ResultReady:
    step = ":".join(filter(None, (kind, model, dataset, detail)))
    return ResultReady(step, kind, key, model, dataset, version=VERSIONS[kind])


RESULTS = (
    ready("extract", KEYS["extract"]),
    ready("probe", KEYS["probe"], "paper"),
    ready("project", KEYS["project"], "15-0.1"),
    ready("saliency", KEYS["saliency"]),
)


def note_run(root: Path, run_id: str, request: RunRequest, results: tuple[Event, ...] = RESULTS) -> Path:
    """Write the journal of a run."""
    journal = root / "runs" / run_id / "events.jsonl"
    journal.parent.mkdir(parents=True)
    said = [RunAsked(run_id, request.to_record(), "batch"), *results]
    journal.write_text("".join(f"{to_json(event)}\n" for event in said))
    return journal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 45 images, as many as the table has under a limit of 30."""
    for number in range(90):
        path = tmp_path / "scans" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(path)
    return tmp_path / "scans"


@pytest.fixture
def root(tmp_path: Path, folder: Path) -> Path:
    """A workspace with the results of one run of `scans` under a limit."""
    fill_store(tmp_path / "w")
    note_run(tmp_path / "w", "20260101-000000-aaaa", RunRequest(data={"scans": str(folder)}, limit=30))
    return tmp_path / "w"


@contextmanager
def opened(root: Path) -> Iterator[Engine]:
    engine = Engine(Workspace(root))
    try:
        yield engine
    finally:
        engine.close()


def surveyed(root: Path, **settings: Any) -> Survey:
    with opened(root) as engine:
        return engine.survey(RunRequest(device="cpu", **settings))


def cell(survey: Survey, model: str = MODEL, dataset: str = "scans") -> Cell:
    (found,) = [each for each in survey.cells if (each.model, each.dataset) == (model, dataset)]
    return found


def test_results_are_told_though_their_folder_is_not_given(root: Path, folder: Path) -> None:
    survey = surveyed(root, limit=30)
    found = cell(survey)
    assert (found.state, found.here, found.differs) == ("done", "data_missing", "")
    assert found.accuracy == 0.8125
    assert (found.keys["table"], found.keys["probe"], found.keys["project"], found.keys["saliency"]) == tuple(
        KEYS[kind] for kind in ("extract", "probe", "project", "saliency")
    )
    assert found.maps == (KEYS["project"],)
    assert found.probes.keys() == {"paper"}
    (row,) = [row for row in survey.datasets if row.id == "scans"]
    assert (row.state, row.hint) == ("data_missing", f"o gives the folder; it was {folder}")


def test_results_of_another_limit_say_which(root: Path, folder: Path) -> None:
    found = cell(surveyed(root, data={"scans": str(folder)}))
    assert (found.state, found.here) == ("stale", "ready")
    assert found.differs == f"{N} images, limit 30; now 90"
    assert found.accuracy == 0.8125
    assert cell(surveyed(root)).differs == f"{N} images, limit 30; now no limit"
    assert cell(surveyed(root, limit=5, seed=2)).differs == f"{N} images, limit 30, seed 0; now limit 5, seed 2"


def test_equal_settings_with_other_images_say_so(root: Path, folder: Path) -> None:
    found = cell(surveyed(root, data={"scans": str(folder)}, limit=30))
    assert (found.state, found.differs) == ("stale", f"{N} images, {OTHERWISE}")
    (folder / "a" / "0.png").unlink()
    assert cell(surveyed(root, data={"scans": str(folder)})).differs == f"{N} images, limit 30; now 89"


def test_a_model_that_nothing_names_today_keeps_its_row(root: Path) -> None:
    theirs = tuple(
        ready(each.kind, each.key, "paper" if each.kind == "probe" else "", "timm:vit_tiny") for each in RESULTS
    )
    note_run(root, "20260102-000000-aaaa", RunRequest(limit=30), theirs)
    survey = surveyed(root, limit=30)
    (row,) = [row for row in survey.models if row.id == "timm:vit_tiny"]
    assert row.state == "weights_missing"
    assert cell(survey, "timm:vit_tiny", "phantom").state == "weights_missing"
    found = cell(survey, "timm:vit_tiny")
    assert (found.state, found.here, found.accuracy) == ("done", "data_missing", 0.8125)


def test_what_was_removed_from_the_store_is_not_told(root: Path) -> None:
    with Store(root / "store") as store:
        for kind in ("probe", "project", "saliency"):
            store.discard(f"result/{KEYS[kind]}")
        store.tables.remove(KEYS["extract"])
    survey = surveyed(root)
    assert "scans" not in {row.id for row in survey.datasets}


def test_the_newest_run_is_shown_unless_an_older_one_has_todays_table(root: Path, folder: Path) -> None:
    with Store(root / "store") as store:
        result = store.result(KEYS["probe"])
        assert result is not None
        record = {**result.record, "metrics": {"accuracy": {"mean": 0.5, "std": 0.1, "folds": [0.5]}}}
        store.put_result("probe-2", result.arrays, {**record, "n_train": 8, "n_test": 2})
    later = (ready("extract", KEYS["extract"]), ready("probe", "probe-2", "paper"))
    note_run(root, "20260103-000000-aaaa", RunRequest(data={"scans": str(folder)}, limit=30, seed=1), later)
    found = cell(surveyed(root))
    assert (found.accuracy, found.keys["probe"]) == (0.5, "probe-2")
    assert found.keys["saliency"] == KEYS["saliency"], "of the same table"
    assert found.differs == f"{N} images, limit 30, seed 1; now no limit, seed 0"


def test_an_analysis_of_an_older_version_is_not_told(root: Path) -> None:
    assert cell(surveyed(root)).keys["saliency"] == KEYS["saliency"]
    older = tuple(replace(event, version=1) if event.kind == "saliency" else event for event in RESULTS)
    for journal in (root / "runs").iterdir():
        shutil.rmtree(journal)
    note_run(root, "20260102-000000-bbbb", RunRequest(limit=30), older)
    told = cell(surveyed(root)).keys
    assert "saliency" not in told
    assert told["project"] == KEYS["project"]


def test_a_workspace_is_read_without_changing_a_file(root: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(root, copied)
    before = contents(copied)
    engine = Engine(Workspace(copied), read_only=True)
    try:
        survey = engine.survey(RunRequest(device="cpu"))
    finally:
        engine.close()
    assert survey.read_only
    assert cell(survey).accuracy == 0.8125
    assert contents(copied) == before


def contents(root: Path) -> dict[Path, bytes]:
    """Return every file but the two that SQLite keeps beside a database whose folder it may write."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix[:4] != ".db-"}


def test_journals_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = note_run(tmp_path, "20260101-000000-aaaa", RunRequest(seed=3))
    with journal.open("a") as file:
        file.write('{"type": "ResultReady", "step": 7}\n{"type": "ResultReady", "st')  # damaged, and cut off
    first = ResultsIndex(tmp_path / "runs", tmp_path / "results.json")
    monkeypatch.setattr("medvlm_tui.core.workspace.results_index.read_run", None)
    again = ResultsIndex(tmp_path / "runs", tmp_path / "results.json")
    for index in (first, again):
        found = list(index.of(MODEL, "scans"))
        assert [made.kind for made, _ in found] == ["saliency", "project", "probe", "extract"]
        assert {(made.table, request["seed"]) for made, request in found} == {(KEYS["extract"], 3)}
        assert [made.detail for made, _ in found] == ["", "15-0.1", "paper", ""]
    monkeypatch.undo()
    (tmp_path / "results.json").write_text('{"version": 2, "runs": {"x": []}}')
    assert len(list(ResultsIndex(tmp_path / "runs", tmp_path / "results.json").of(MODEL, "scans"))) == 4


def test_several_hold_outs_are_shown_as_their_mean(root: Path, folder: Path) -> None:
    with Store(root / "store") as store:
        first = store.read(KEYS["probe"], ProbeRecord)
        assert first is not None
        own = first.record
        accuracy = own.metrics["accuracy"]
        assert accuracy.mean is not None
        values = [accuracy.mean, 0.5, 0.75]
        for seed, value in zip((1, 2, 4), (*values[1:], 0.1), strict=True):
            split = replace(own.split, seed=own.seed + seed)
            metrics = {"accuracy": replace(accuracy, mean=value, std=0.25)}
            again = replace(own, seed=own.seed + seed, split=split, metrics=metrics)
            store.put_result(f"again-{seed}", {}, again)
    # The last seed does not follow the others': it is of another run.
    results = (*RESULTS, *(ready("repeat", f"again-{seed}", f"paper:{own.seed + seed}") for seed in (1, 2, 4)))
    note_run(root, "20260102-000000-bbbb", RunRequest(data={"scans": str(folder)}, limit=30), results)
    found = cell(surveyed(root, limit=30))
    shown = found.probes["paper"]
    assert shown.seeds == 3
    assert found.accuracy == shown.metrics["accuracy"][0] == pytest.approx(np.mean(values))
    error = np.sqrt((1 / 3 + own.n_test / own.n_train) * np.var(values, ddof=1))
    half = t.ppf(0.975, 2) * max(error, 0.5 / own.n_test)
    low, high = max(0.0, np.mean(values) - half), min(1.0, np.mean(values) + half)
    assert shown.intervals["accuracy"] == pytest.approx((low, high))
    assert shown.metrics.keys() == {"accuracy"}, "the others are undefined on two hold-outs"
