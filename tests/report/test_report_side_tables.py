"""Cost, leakage and per-class tables against numbers worked out another way."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.side_tables import cost_table, per_class, per_class_rows
from tests.made.report_store import filled


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    return Gathered(filled(tmp_path_factory.mktemp("store")))


def test_per_class_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0, 0, 1, 1, 1, 3, 3])
    predicted = rng.integers(0, 5, size=(4, len(truth)))
    ours = per_class(truth, predicted, 5)
    for fold, guesses in enumerate(predicted):
        precision, recall, f1, _ = precision_recall_fscore_support(truth, guesses, labels=range(5), zero_division=0.0)
        assert np.allclose(ours["precision"][fold], precision)
        assert np.allclose(ours["recall"][fold], recall)
        assert np.allclose(ours["f1"][fold], f1)


def test_a_class_absent_from_the_hold_out_has_no_row(gathered: Gathered) -> None:
    rows = list(per_class_rows(gathered.cells[0], np.array([0, 0, 2]), np.array([[0, 1, 2], [0, 0, 2]])))
    assert {(row[4], row[5]) for row in rows} == {("=glioma", 2), ("pituitary $x_1$", 1)}
    recall = next(row for row in rows if row[4] == "=glioma" and row[6] == "recall")
    assert recall[-2:] == (0.75, 0.25)


def test_cost_is_what_the_tables_recorded(gathered: Gathered, tmp_path: Path) -> None:
    write_csv(tmp_path / "cost.csv", cost_table(gathered.tables))
    with open(tmp_path / "cost.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    first = rows[0]
    assert (first["images_per_second"], first["parameters"], first["failed"]) == ("312.5", "86000000", "1")
    # What a table does not record stays empty.
    assert (first["computed"], first["batch_size"], first["device"]) == ("", "", "cpu")
