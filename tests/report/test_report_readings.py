"""Protocols without a grid of t in the report: every setting's scores, no final classifier, what the table says."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.results.cells import Cell, Reading
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.scores.predictions import predictions_table
from medvlm_tui.report.scores.results_csv import readings_table
from medvlm_tui.report.scores.score_table import score_tables
from tests.made.report_store import filled


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ReportInput:
    return filled(tmp_path_factory.mktemp("store"))


@pytest.fixture
def few_shot(source: ReportInput) -> Cell:
    cell = Gathered(source).cells[0]
    readings = (Reading("shots", 16, 48, cell.metrics), Reading("shots", None, 240, cell.metrics))
    return replace(cell, protocol="few_shot", setting="16 shots", readings=readings)


def test_readings_have_a_row_a_setting_and_metric(tmp_path: Path, source: ReportInput, few_shot: Cell) -> None:
    made = readings_table([Gathered(source).cells[0], few_shot])
    write_csv(tmp_path / "readings.csv", made)
    with open(tmp_path / "readings.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == made.names
    assert {(row["setting"], row["value"], row["n_train"]) for row in rows} == {
        ("shots", "16", "48"),
        ("shots", "all", "240"),
    }
    assert len(rows) == 2 * sum(metric.mean is not None for metric in few_shot.metrics)


def test_predictions_without_a_final_classifier(tmp_path: Path, source: ReportInput, few_shot: Cell) -> None:
    table, probe = source.store.tables.read(few_shot.table_key), source.store.result(few_shot.probe_key)
    assert table is not None
    assert probe is not None
    kept = {name: array for name, array in probe.arrays.items() if not name.startswith("final_")}
    write_csv(tmp_path / "p.csv", predictions_table(few_shot, table, replace(probe, arrays=kept)))
    with open(tmp_path / "p.csv", newline="") as file:
        folds = {row["fold"] for row in csv.DictReader(file)}
    assert "final" not in folds
    assert "0" in folds


def test_the_table_says_which_setting_it_shows(few_shot: Cell) -> None:
    notes = score_tables([few_shot], {})[0].notes
    assert any(note.startswith("16 training images per class, 10 draws") for note in notes)
    assert notes[0].startswith("Mean ± standard deviation over the draws' classifiers on one hold-out")
