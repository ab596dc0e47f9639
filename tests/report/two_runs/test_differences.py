"""Differences of two runs: tested against scipy on the images that both held out; class names like formulas."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from medvlm_tui.cli import main
from medvlm_tui.errors import MissingInputError, UsageError
from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.formats.table import Table, numbers
from medvlm_tui.report.scores.predictions import PREDICTIONS
from medvlm_tui.report.scores.results_csv import RESULTS
from medvlm_tui.report.two_runs.differences import Change, compare_runs
from medvlm_tui.report.two_runs.lines import lines
from medvlm_tui.report.two_runs.run_files import RunFiles

CLASSES = ("=benign", "malignant")
LABELS = [CLASSES[number % 2] for number in range(60)]


def written(folder: Path, right: np.ndarray, images: list[str] | None = None, protocol: str = "paper") -> RunFiles:
    """A run of one cell whose one classifier is right on the given images."""
    folder.mkdir()
    images = images or [f"{number}.png" for number in range(len(right))]
    manifest = {"versions": {"torch": "2.10"}, "settings": {"seed": 0, "out": str(folder)}, "datasets": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    row = ("m", "d", "", protocol, "pooled", "accuracy", float(right.mean()), 0.0, 0.5, 1.0, 240, len(right))
    write_csv(folder / "results.csv", Table("results", RESULTS, [(*row, 8, 1.0, False, None, None, None)]))
    codes = [CLASSES.index(label) for label in LABELS]
    scores = [
        [1.0, -1.0] if (code == 0) == hit else [-1.0, 1.0] for code, hit in zip(codes, right.tolist(), strict=True)
    ]
    rows = [
        ("", "pooled", "test", image, label, fold, CLASSES[int(np.argmax(values))], *values)
        for fold in ("0", "final")
        for image, label, values in zip(images, LABELS, scores, strict=True)
    ]
    (folder / "predictions").mkdir()
    columns = (*PREDICTIONS, *numbers(*(f"score_{name}" for name in CLASSES)))
    write_csv(folder / "predictions" / f"m_d_{protocol}.csv", Table("predictions", columns, rows))
    return RunFiles.read(folder)


def only(before: RunFiles, after: RunFiles) -> Change:
    (change,) = compare_runs(before, after).changes
    return change


def test_a_difference_is_tested_on_the_images_that_both_runs_held_out(tmp_path: Path) -> None:
    before, after = np.arange(60) >= 14, np.arange(60) >= 3
    change = only(written(tmp_path / "a", before), written(tmp_path / "b", after))
    assert change.difference == pytest.approx(11 / 60)
    assert change.p_value == pytest.approx(binomtest(11, 11).pvalue)
    assert change.finding == "differs"
    assert change.low is not None
    assert change.high is not None
    assert 0 < change.low < 11 / 60 < change.high


def test_the_order_of_the_images_does_not_matter(tmp_path: Path) -> None:
    first = written(tmp_path / "a", np.arange(60) >= 9)
    written(tmp_path / "b", np.arange(60) >= 11)
    path = tmp_path / "b" / "predictions" / "m_d_paper.csv"
    header, *rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *reversed(rows)]))
    change = only(first, RunFiles.read(tmp_path / "b"))
    assert change.p_value == pytest.approx(binomtest(2, 2).pvalue)
    assert change.finding == "not told apart"


def test_the_command_prints_the_changes_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "a", np.arange(60) >= 14)
    written(tmp_path / "b", np.arange(60) >= 3)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert change["finding"] == "differs"
    assert change["difference"] == pytest.approx(11 / 60)


def test_equal_runs_say_so_and_places_of_files_are_no_difference(tmp_path: Path) -> None:
    right = np.arange(60) >= 9
    found = compare_runs(written(tmp_path / "a", right), written(tmp_path / "b", right))
    assert found.settings == {}
    assert [change.finding for change in found.changes] == ["equal"]
    assert list(lines(found)) == ["1 score in both runs; equal: 1, differs: 0, not told apart: 0, not tested: 0"]


@pytest.mark.parametrize(("protocol", "reason"), [("grouped", "groups"), ("paper", "held out")])
def test_what_cannot_be_paired_is_not_tested_and_says_why(tmp_path: Path, protocol: str, reason: str) -> None:
    first = written(tmp_path / "a", np.arange(60) >= 20, protocol=protocol)
    other = [f"other{number}.png" for number in range(60)]
    change = only(first, written(tmp_path / "b", np.arange(60) >= 2, other, protocol))
    assert change.finding == "not tested"
    assert reason in change.reason


def test_folders_that_no_run_wrote_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no manifest\.json"):
        RunFiles.read(tmp_path)
    written(tmp_path / "a", np.ones(60, dtype=bool))
    (tmp_path / "a" / "results.csv").write_text("model,mean\nm,high\n")
    with pytest.raises(UsageError, match="no run wrote"):
        RunFiles.read(tmp_path / "a")
