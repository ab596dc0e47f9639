"""The rows of preprocessing.csv: every measure of every change, and the changes that were left out with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from medvlm_tui.core.plan import Step
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.run_results import Gathered, ReportInput, made_once
from medvlm_tui.stages.preprocessing import PREPROCESSING
from medvlm_tui.stages.records.measure import Measure
from medvlm_tui.stages.records.preprocessing import DEFAULT, PreprocessingRecord

COLUMNS = (
    *texts("model", "dataset", "label_view", "change", "place", "measure"),
    *numbers("value", "ci_low", "ci_high", "n", "chance", "changed", "of", "t", "seed"),
    *texts("left_out"),
)  # fmt: skip


@made_once
def tables_of(results: Gathered) -> tuple[Table, ...]:
    """Return the table of the lab, where the run has one."""
    found = list(results.source.records(PREPROCESSING))
    rows = tuple(row for step, record in found for row in _rows(results.source, step, record))
    return (Table("preprocessing", COLUMNS, rows, "Measures of the preprocessing lab"),) if rows else ()


def _rows(source: ReportInput, step: Step, record: PreprocessingRecord) -> Iterator[Row]:
    start = (step.model, step.dataset, source.datasets[step.dataset].view)
    end = (record.n_test, record.t, record.seed)
    for measure in record.default:
        yield (*start, DEFAULT, "", *_measure(measure), None, *end, "")
    for each in record.changes:
        for measure in each.measures:
            yield (*start, each.name, each.place, *_measure(measure), each.changed, *end, "")
        if each.left_out:
            nothing = ("", None, None, None, None, None)
            yield (*start, each.name, each.place, *nothing, each.changed, *end, each.left_out)


def _measure(measure: Measure) -> Row:
    return (measure.name, measure.value, measure.low, measure.high, measure.n, measure.chance)
