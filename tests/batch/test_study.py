"""A whole study of the phantom through the command line: every stage, every file, and nothing twice."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core import events
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.service.engine import Engine
from medvlm_tui.stages.request import RunRequest

from .conftest import QUICK, Outcome, run_command

STAGE_NAMES = "extract,probe,project,saliency,statistics,report"
RESULT_COLUMNS = (
    "model,dataset,label_view,protocol,feature,metric,mean,std,ci_low,ci_high,"
    "n_train,n_test,d,t,saturated,published,delta,delta_differs"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def arguments(folder: Path) -> list[str]:
    places = ["--workspace", str(folder / "ws"), "--out", str(folder / "out")]
    return ["--batch", *QUICK, *places, "--stages", STAGE_NAMES, "--rise-masks", "32", "--protocol", "paper", "--json"]


@pytest.fixture(scope="module")
def first(folder: Path, arguments: list[str]) -> Outcome:
    outcome = run_command(arguments, folder)
    assert outcome.code == 0, outcome.stderr
    return outcome


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_step_runs_and_the_last_word_is_ok(first: Outcome) -> None:
    [finished] = first.of(events.RunFinished)
    assert finished.exit_code == 0
    assert (finished.failed, finished.skipped, finished.cached) == (0, 0, 0)
    done = {event.kind for event in first.of(events.ResultReady)}
    assert done == {"extract", "probe", "project", "grid", "saliency", "statistics", "report"}
    assert first.of(events.BlockStored)


def test_results_csv_is_as_specified(first: Outcome, folder: Path) -> None:
    path = folder / "out" / "results.csv"
    assert path.read_text().splitlines()[0] == RESULT_COLUMNS
    by_metric = {row["metric"]: row for row in rows(path) if row["protocol"] == "paper"}
    final = {row["metric"]: row for row in rows(path) if row["protocol"] == "paper/final"}
    assert 0 < float(final["accuracy"]["ci_low"]) <= float(final["accuracy"]["mean"]) <= 1
    accuracy = by_metric["accuracy"]
    assert {"accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece"} <= by_metric.keys()
    assert (accuracy["model"], accuracy["dataset"], accuracy["protocol"]) == ("efficientnet_lite0", "phantom", "paper")
    assert (accuracy["n_train"], accuracy["n_test"], accuracy["d"]) == ("48", "12", "1280")
    mean, low, high = (float(accuracy[name]) for name in ("mean", "ci_low", "ci_high"))
    assert 0 < low <= mean <= high <= 1
    assert accuracy["published"] == accuracy["delta"] == ""


def test_folds_and_predictions_agree_with_the_results(first: Outcome, folder: Path) -> None:
    out = folder / "out"
    test = [float(r["value"]) for r in rows(out / "folds.csv") if r["metric"] == "accuracy" and r["part"] == "test"]
    results = rows(out / "results.csv")
    [stated] = [float(r["mean"]) for r in results if (r["metric"], r["protocol"]) == ("accuracy", "paper")]
    assert np.mean(test) == pytest.approx(stated, abs=1e-12)
    predictions = rows(out / "predictions" / "efficientnet_lite0_phantom_paper.csv")
    for fold in range(5):
        held_out = [r for r in predictions if r["part"] == "test" and r["fold"] == str(fold)]
        assert len(held_out) == 12
        right = np.mean([r["label"] == r["predicted"] for r in held_out])
        assert right == pytest.approx(test[fold], abs=1e-12)


def test_the_tables_figures_and_manifest_are_there(first: Outcome, folder: Path) -> None:
    out = folder / "out"
    for name in ("table.tex", "table.md"):
        assert "SYNTHETIC" in (out / name).read_text()
    for figure in ("umap_efficientnet_lite0_phantom.png", *(p.name for p in (out / "figures").glob("rise_*.png"))):
        with Image.open(out / "figures" / figure) as image:
            assert min(image.size) > 200
    maps = list((out / "figures").glob("rise_efficientnet_lite0_*.png"))
    assert len(maps) == len(list((out / "saliency").glob("*.npy"))) == 3
    assert (out / "figures" / "rise_images_efficientnet_lite0_phantom.png").is_file()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["versions"]["torch"]
    assert manifest["settings"]["seed"] == 0
    lines = (out / "events.jsonl").read_text().splitlines()
    assert isinstance(events.from_json(lines[-1]), events.RunFinished)


def test_the_same_command_again_computes_nothing(first: Outcome, folder: Path, arguments: list[str]) -> None:
    before = (folder / "out" / "results.csv").read_bytes()
    again = run_command(arguments, folder)
    assert again.code == 0
    assert not again.of(events.BlockStored)
    assert not again.of(events.StepProgress)
    results = [event for event in again.of(events.ResultReady) if event.kind != "report"]
    assert results
    assert all(event.cached for event in results)
    assert (folder / "out" / "results.csv").read_bytes() == before


def test_another_seed_reuses_the_features_only(first: Outcome, folder: Path, arguments: list[str]) -> None:
    # The phantom's own images depend on the seed, so the folder of the first run is named as data here.
    [images] = (folder / "ws" / "phantom").iterdir()
    base = [*arguments, "--data", f"phantom={images}", "--stages", "extract,probe", "--seed"]
    again = run_command([*base, "1"], folder)
    assert again.code == 0, again.stderr
    by_kind = {event.kind: event.cached for event in again.of(events.ResultReady)}
    assert by_kind == {"extract": True, "probe": False}


def test_the_home_screen_finds_the_study_again(first: Outcome, folder: Path) -> None:
    engine = Engine(Workspace(folder / "ws"))
    try:
        shown = engine.survey(RunRequest(phantom_per_class=20, device="cpu"))
        [cell] = [c for c in shown.cells if (c.model, c.dataset) == ("efficientnet_lite0", "phantom")]
        intervals = engine.store.result(cell.probes["paper"].statistics)
    finally:
        engine.close()
    keys = {event.kind: event.key for event in first.of(events.ResultReady)}
    assert cell.state == "done"
    assert (cell.keys["table"], cell.keys["probe"], cell.keys["saliency"]) == (
        keys["extract"],
        keys["probe"],
        keys["saliency"],
    )
    assert cell.probes.keys() == {"paper"}
    assert intervals is not None
    low, high = intervals.record["intervals"]["accuracy"]
    assert low <= cell.accuracy <= high


def test_a_dry_run_says_what_is_had_and_runs_nothing(first: Outcome, folder: Path, arguments: list[str]) -> None:
    plan = [a for a in arguments if a != "--json"]
    done = run_command([*plan, "--dry-run", "--protocol", "poster"], folder)
    assert done.code == 0
    states = {line[8:].split()[0]: line[:8].strip() for line in done.stdout.splitlines() if ":" in line[8:]}
    assert states["extract:efficientnet_lite0:phantom"] == "have"
    assert [state for step, state in states.items() if step.startswith("probe") and step.endswith("poster")] == [
        "to do"
    ]


def test_a_run_file_says_the_same_as_flags(first: Outcome, folder: Path) -> None:
    [images] = (folder / "ws" / "phantom").iterdir()
    run_file = folder / "RUN.toml"
    run_file.write_text(
        'models = ["efficientnet_lite0"]\ndatasets = ["phantom"]\nstages = ["extract", "probe"]\n'
        f'[data]\nphantom = "{images}"\n'
    )
    done = run_command(["--batch", run_file, "--workspace", folder / "ws", "--json"], folder)
    assert done.code == 0, done.stderr
    assert all(event.cached for event in done.of(events.ResultReady))
