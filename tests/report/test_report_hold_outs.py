"""Several hold-outs: means, corrected intervals, ties and ranks of the tables against the values worked out by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from medvlm_tui.report.comparison.rows import rows
from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.formats.table import text_of
from medvlm_tui.report.results.cells import Cell, HoldOut, Metric
from medvlm_tui.report.results.hold_outs import over_hold_outs, rank_rows, repeated_verdicts
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.results_csv import folds_table, results_table
from medvlm_tui.report.scores.score_table import score_tables
from medvlm_tui.report.scores.supplement import hold_out_ranks
from tests.made.report_store import filled

FIRST, SECOND = (0.75, 0.80, 0.85, 0.80), (0.70, 0.78, 0.70, 0.78)


def metric(name: str, mean: float) -> Metric:
    return Metric(name, mean, 0.02 + mean / 100, (mean, mean), ())


def over(cell: Cell, name: str, means: tuple[float, ...]) -> Cell:
    """Return the cell as another model's over hold-outs 0, 1, 2, ... with these accuracies."""
    made = [HoldOut(s, 1.0, (metric("accuracy", m), metric("brier", 2 * m)), ()) for s, m in enumerate(means)]
    own = replace(cell, model=replace(cell.model, id=name, name=name), metrics=made[0].metrics, final=(), seed=0)
    return over_hold_outs(own, made[1:])


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Gathered(filled(tmp_path)).cells[0]


def test_means_spread_and_interval_are_over_the_hold_outs(cell: Cell) -> None:
    made = over(cell, "a", FIRST)
    accuracy, brier = made.metric("accuracy"), made.metric("brier")
    assert accuracy is not None
    assert brier is not None
    assert (accuracy.mean, accuracy.std) == pytest.approx((0.8, 0.028))
    error = max(np.sqrt((1 / 4 + cell.n_test / cell.n_train) * np.var(FIRST, ddof=1)), 0.5 / cell.n_test)
    half = t.ppf(0.975, 3) * error
    assert (accuracy.low, accuracy.high) == pytest.approx((0.8 - half, min(1.0, 0.8 + half)))
    # The Brier score's scale is twice as long.
    assert (brier.low, brier.high) == pytest.approx((2 * (0.8 - half), 2 * min(1.0, 0.8 + half)))
    assert over_hold_outs(cell, ()) is cell


def test_models_are_compared_over_the_hold_outs(cell: Cell) -> None:
    models = [over(cell, "a", FIRST), over(cell, "b", SECOND), over(cell, "c", (0.3, 0.31, 0.29, 0.3))]
    verdict = repeated_verdicts(models)
    assert verdict is not None
    gains = np.subtract(FIRST, SECOND)
    error = max(np.sqrt((1 / 4 + cell.n_test / cell.n_train) * np.var(gains, ddof=1)), 0.5 / cell.n_test)
    pair = verdict.pairs[frozenset("ab")].differences["accuracy"]
    assert pair.value == pytest.approx(gains.mean())
    assert pair.p_value == pytest.approx(2 * t.sf(gains.mean() / error, 3))
    assert (verdict.seeds, verdict.tied("a", "b", "accuracy"), verdict.tied("a", "c", "accuracy")) == (4, True, False)
    assert [(c.model.id, *ranks) for c, *ranks in rank_rows(models)] == [
        ("a", 1.0, 1.0, 1.0), ("b", 2.0, 2.0, 2.0), ("c", 3.0, 3.0, 3.0),
    ]  # fmt: skip
    [first, *_] = hold_out_ranks(models, ()).values
    assert list(map(text_of, first[2:])) == ["a", "1.0", "1.0", "1.0"]
    notes = score_tables(models, {("brain_mr", "paper"): verdict})[0].notes
    assert notes[0].startswith("Mean over 4 hold-outs ±")
    assert any("corrected resampled t test over 4 hold-outs" in note for note in notes)
    assert any(note.startswith("[low, high]: 95 % corrected resampled interval") for note in notes)
    # Of one hold-out nothing can be said.
    assert repeated_verdicts([cell, cell]) is None


def test_hold_outs_that_one_model_lacks_take_no_part(cell: Cell) -> None:
    whole, short = over(cell, "a", FIRST), over(cell, "b", SECOND[:2])
    verdict = repeated_verdicts([whole, short])
    assert verdict is not None
    assert verdict.seeds == 2
    value = verdict.pairs[frozenset("ab")].differences["accuracy"].value
    assert value == pytest.approx(np.subtract(FIRST[:2], SECOND[:2]).mean())


def test_the_files_have_every_hold_out(cell: Cell, tmp_path: Path) -> None:
    models = [over(cell, "a", FIRST), over(cell, "b", SECOND)]
    write_csv(tmp_path / "results.csv", results_table(models))
    write_csv(tmp_path / "folds.csv", folds_table(models))
    results = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert {(row["model"], row["seeds"]) for row in results} == {("a", "4"), ("b", "4")}
    folds = [row for row in csv.DictReader((tmp_path / "folds.csv").open()) if row["metric"] == "accuracy"]
    assert {(row["seed"], float(row["value"])) for row in folds if row["model"] == "b"} == {
        (str(seed), mean) for seed, mean in enumerate(SECOND)
    }


def test_statistics_tell_of_the_hold_outs(tmp_path: Path) -> None:
    gathered = Gathered(filled(tmp_path))
    gathered.__dict__["cells"] = tuple(
        over(cell, cell.model.id, means) for cell, means in zip(gathered.cells[:2], (FIRST, SECOND), strict=True)
    )
    found = [row for row in rows(gathered) if row[0] in ("resampled_interval", "resampled_t", "rank_over_hold_outs")]
    assert {row[0] for row in found} == {"resampled_interval", "resampled_t", "rank_over_hold_outs"}
    assert {row[13] for row in found} == {4}
