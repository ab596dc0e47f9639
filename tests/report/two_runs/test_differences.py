"""Differences of two runs: tested against scipy on the images that both held out; class names like formulas."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest, t

from medvlm_tui.cli import main
from medvlm_tui.errors import MissingInputError, UsageError
from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.formats.table import Table, numbers
from medvlm_tui.report.scores.predictions import GROUP, PREDICTIONS
from medvlm_tui.report.scores.results_csv import RESULTS
from medvlm_tui.report.two_runs.differences import Change, compare_runs
from medvlm_tui.report.two_runs.lines import lines
from medvlm_tui.report.two_runs.run_files import RunFiles

CLASSES = ("=benign", "malignant")
LABELS = [CLASSES[number % 2] for number in range(60)]


def written(
    folder: Path,
    right: np.ndarray,
    images: list[str] | None = None,
    protocol: str = "paper",
    groups: list[int] | None = None,
    draws: list[np.ndarray] | None = None,
) -> RunFiles:
    """A run of one cell whose one classifier is right on the given images, or whose classifiers of `draws` are."""
    folder.mkdir()
    images = images or [f"{number}.png" for number in range(len(right))]
    manifest = {"versions": {"torch": "2.10"}, "settings": {"seed": 0, "out": str(folder)}, "datasets": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    row = ("m", "d", "", protocol, "pooled", "accuracy", float(right.mean()), 0.0, 0.5, 1.0, 240, len(right))
    write_csv(folder / "results.csv", Table("results", RESULTS, [(*row, 8, 1.0, False, None, None, None)]))
    codes = [CLASSES.index(label) for label in LABELS]
    rows = [
        ("", "pooled", "test", image, label, fold, CLASSES[int(np.argmax(values))], *values, *group)
        for fold, hits in (*((str(number), each) for number, each in enumerate(draws or [right])), ("final", right))
        for image, label, values, group in zip(
            images,
            LABELS,
            [
                [1.0, -1.0] if (code == 0) == hit else [-1.0, 1.0]
                for code, hit in zip(codes, hits.tolist(), strict=True)
            ],
            [(each,) for each in groups] if groups else [()] * len(images),
            strict=True,
        )
    ]
    (folder / "predictions").mkdir()
    columns = (*PREDICTIONS, *numbers(*(f"score_{name}" for name in CLASSES)), *(GROUP if groups else ()))
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


@pytest.mark.parametrize(("protocol", "reason"), [("grouped", "held out"), ("paper", "held out")])
def test_what_cannot_be_paired_is_not_tested_and_says_why(tmp_path: Path, protocol: str, reason: str) -> None:
    first = written(tmp_path / "a", np.arange(60) >= 20, protocol=protocol)
    other = [f"other{number}.png" for number in range(60)]
    change = only(first, written(tmp_path / "b", np.arange(60) >= 2, other, protocol))
    assert change.finding == "not tested"
    assert reason in change.reason


def test_grouped_runs_exchange_whole_groups(tmp_path: Path) -> None:
    groups = [number // 6 for number in range(60)]
    # Fourteen and three images wrong, in whole groups but for two images each.
    before, after = np.arange(60) >= 14, np.arange(60) >= 3
    first = written(tmp_path / "a", before, protocol="grouped", groups=groups)
    # Another numbering of the same groups.
    change = only(first, written(tmp_path / "b", after, protocol="grouped", groups=[9 - number for number in groups]))
    gains = np.bincount(groups, weights=after.astype(int) - before.astype(int))
    signs = np.array(list(product((-1, 1), repeat=10)))
    expected = np.mean(np.abs(signs @ gains) >= abs(gains.sum()) - 1e-9)
    assert change.p_value == pytest.approx(expected)
    assert change.finding == "not told apart"
    alone = written(tmp_path / "c", after, protocol="grouped", groups=list(range(60)))
    assert only(first, alone).reason == "the images are grouped in another way"


def test_draws_of_training_images_count_between_runs(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    one, other = ([rng.random(60) < share for _ in range(4)] for share in (0.7, 0.8))
    right = [np.mean(draws, axis=0) for draws in (one, other)]
    runs = [
        written(tmp_path / name, mean, protocol="few_shot", draws=draws)
        for name, mean, draws in zip("ab", right, (one, other), strict=True)
    ]
    change = only(*runs)
    gains = np.array([b.mean() - a.mean() for a, b in zip(one, other, strict=True)])
    moves = right[1] - right[0]
    strata = [moves[start::2] for start in (0, 1)]
    images = sum(len(part) / 60**2 * np.var(part, ddof=1) for part in strata)
    draws = np.var(gains, ddof=1) / 4
    freedom = (images + draws) ** 2 / (images**2 / 59 + draws**2 / 3)
    by_both = 2 * t.sf(abs(gains.mean()) / np.sqrt(images + draws), freedom)
    assert change.p_value is not None
    assert change.p_value >= by_both - 1e-12
    assert change.low is not None
    assert change.high is not None
    # The interval has both parts, and a quarter of an image more.
    half = (change.high - change.low) / 2
    assert half == pytest.approx(t.ppf(0.975, 59) * np.sqrt((60**2 * images + 0.25) / 60.25**2 + draws))


def test_means_over_several_hold_outs_are_not_tested_by_the_first(tmp_path: Path) -> None:
    runs = [written(tmp_path / name, np.arange(60) >= wrong) for name, wrong in (("a", 14), ("b", 3))]
    for name in "ab":
        path = tmp_path / name / "results.csv"
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([f"{head},seeds", *(f"{row},3" for row in rows)]) + "\n")
    change = only(*(RunFiles.read(run.folder) for run in runs))
    assert (change.finding, change.p_value) == ("not tested", None)
    assert "several hold-outs" in change.reason


def test_folders_that_no_run_wrote_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no manifest\.json"):
        RunFiles.read(tmp_path)
    written(tmp_path / "a", np.ones(60, dtype=bool))
    (tmp_path / "a" / "results.csv").write_text("model,mean\nm,high\n")
    with pytest.raises(UsageError, match="no run wrote"):
        RunFiles.read(tmp_path / "a")
