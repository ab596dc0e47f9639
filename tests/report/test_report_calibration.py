"""The table of calibration: every number beside the one that a calibrated classifier would show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medvlm_tui.report.formats.table import text_of
from medvlm_tui.report.results.cells import Metric
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.supplement import calibration
from tests.made.report_store import filled


def test_each_estimate_stands_beside_its_value_under_calibration(tmp_path: Path) -> None:
    cell = Gathered(filled(tmp_path)).cells[0]
    names = {"ece": 0.25, "ece_calibrated": 0.2344, "ece_debiased": 0.0625, "brier": 0.5, "brier_calibrated": 0.4375}
    whole = replace(cell, metrics=tuple(Metric(n, value, 0.01, (value,), ()) for n, value in names.items()))
    table = calibration([whole, cell], ("a warning",))
    # The second cell, of an earlier release, has an ECE alone: there is nothing to set beside it.
    shown = [[text_of(value) for value in row[2:]] for row in table.values]
    assert shown == [["paper", "0.250", "0.234", "0.062", "0.500", "0.438"]]
    assert table.notes[-1] == "a warning"
