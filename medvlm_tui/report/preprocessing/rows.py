"""The rows of preprocessing.csv (each measure of each change) and preprocessing_ranks.csv (the order of the models)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scipy.stats import rankdata

from medvlm_tui.core.plan import Step
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.run_results import Gathered, ReportInput, made_once
from medvlm_tui.stages.preprocessing import PREPROCESSING, PREPROCESSING_RANKS
from medvlm_tui.stages.records.measure import Measure
from medvlm_tui.stages.records.preprocessing import DEFAULT, DatasetRanks, PreprocessingRecord

COLUMNS = (
    *texts("model", "dataset", "label_view", "change", "place", "measure"),
    *numbers("value", "ci_low", "ci_high", "n", "chance", "changed", "of", "t", "seed"),
    *texts("left_out"),
)  # fmt: skip


RANKS = (
    *texts("dataset", "change", "way", "model"),
    *numbers("accuracy", "rank", "accuracy_unchanged", "rank_unchanged", "tau", "ci_low", "ci_high"),
    *numbers("reversed_pairs", "models", "n"),
    *texts("note"),
)  # fmt: skip


@made_once
def tables_of(results: Gathered) -> tuple[Table, ...]:
    """Return the tables that the run has rows for."""
    source = results.source
    rows = tuple(row for step, record in source.records(PREPROCESSING) for row in _rows(source, step, record))
    orders = [each for _, record in source.records(PREPROCESSING_RANKS) for each in record.datasets]
    ranks = tuple(row for dataset in orders for row in _ranks(dataset))
    made = (
        Table("preprocessing", COLUMNS, rows, "Measures of the preprocessing lab"),
        Table("preprocessing_ranks", RANKS, ranks, "The order of the models under each change"),
    )
    return tuple(table for table in made if table.rows)


def _ranks(found: DatasetRanks) -> Iterator[Row]:
    end = (len(found.models), found.n, found.note)
    if found.note:
        yield (found.dataset, *[""] * 3, *[None] * 8, *end)
    before = _ranked(found.unchanged)
    for each in found.changes:
        after = _ranked(each.accuracies)
        for place, model in enumerate(found.models):
            ranked = (each.accuracies[place], after[place], found.unchanged[place], before[place])
            agreement = (each.tau, each.low, each.high, each.reversed_pairs)
            yield (found.dataset, each.change, each.way, model, *ranked, *agreement, *end)


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


def _ranked(accuracies: Sequence[float]) -> list[float]:
    """Return the rank of each model, 1 for the best; models that are equal share the mean of their ranks."""
    return [float(rank) for rank in rankdata([-value for value in accuracies])]
