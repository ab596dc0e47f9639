"""What stands beside the scores of a table: majority rate, balanced accuracy, precisions that differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from medvlm_tui.report.formats import latex, markdown
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.layout import printed
from medvlm_tui.report.scores.score_table import score_tables
from tests.made.report_store import filled


def test_the_majority_rate_is_that_of_the_held_out_labels(tmp_path: Path) -> None:
    source = filled(tmp_path)
    cell = Gathered(source).cells[0]
    probe = source.store.result(cell.probe_key)
    assert probe is not None
    labels = [cell.classes[probe.arrays["labels"][row]] for row in probe.arrays["hold_out"]]
    assert cell.held_out == tuple(Counter(labels)[name] for name in cell.classes)
    uneven = replace(cell, held_out=(7, 2, 0))
    (table,) = score_tables([uneven], {})
    (note,) = (note for note in table.notes if note.startswith("Majority rate"))
    assert "Brain MR 77.8 %; its balanced accuracy: Brain MR 50.0 %" in note
    source.store.close()


def test_balanced_accuracy_stands_in_both_forms(tmp_path: Path) -> None:
    source = filled(tmp_path)
    cell = Gathered(source).cells[0]
    mean = next(metric.mean for metric in cell.metrics if metric.name == "balanced_accuracy")
    assert mean is not None
    tables = score_tables([cell], {})
    assert f"| {100 * mean:.1f} % |" in markdown.render(printed(tables))
    assert rf"& {100 * mean:.1f}\,\%" in latex.render(printed(tables))
    source.store.close()


def test_a_table_of_two_precisions_marks_the_reduced_one_and_says_so(tmp_path: Path) -> None:
    source = filled(tmp_path)
    first, second, *_ = (cell for cell in Gathered(source).cells if cell.dataset.spec.id == "brain_mr")
    assert (first.precision, second.precision) == ("fp32", "fp32")
    (one,) = score_tables([first, second], {})
    assert not any(shown.precision for column in one.columns for e in column.entries.values() if (shown := e.accuracy))
    (mixed,) = score_tables([first, replace(second, precision="bf16")], {})
    entries = mixed.columns[0].entries
    shown = (entries[first.model.id].accuracy, entries[second.model.id].accuracy, entries[second.model.id].f1)
    assert [score and score.precision for score in shown] == ["", "bf16", "bf16"]
    assert any(note.startswith("bf16: ") and "mixes fp32 and bf16" in note for note in mixed.notes)
    (row,) = (line for line in markdown.render(printed([mixed])).splitlines() if line.startswith("| VGG"))
    assert row.count(" bf16") == 2
    assert "bf16" in latex.render(printed([mixed])).split(r"\bottomrule")[0]
    source.store.close()
