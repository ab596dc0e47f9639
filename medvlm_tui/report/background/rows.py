"""The rows of background.csv: accuracy under each condition, the cost of the cover, and the shortcut index."""

from __future__ import annotations

from collections.abc import Iterator

from medvlm_tui.core.plan import Step
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.run_results import Gathered, ReportInput, made_once
from medvlm_tui.stages.background import BACKGROUND
from medvlm_tui.stages.records.background import BackgroundRecord

COLUMNS = (
    *texts("model", "dataset", "label_view", "measure", "condition"),
    *numbers("value", "ci_low", "ci_high", "n", "chance", "n_train", "side_share", "overlap", "cut_off", "t", "seed"),
    *texts("left_out"),
)  # fmt: skip


@made_once
def tables_of(results: Gathered) -> tuple[Table, ...]:
    """Return the table of covered lesions, where the run has one."""
    found = list(results.source.records(BACKGROUND))
    rows = tuple(row for step, record in found for row in _rows(results.source, step, record))
    return (Table("background", COLUMNS, rows, "What is known where the lesion is covered"),) if rows else ()


def _rows(source: ReportInput, step: Step, record: BackgroundRecord) -> Iterator[Row]:
    start = (step.model, step.dataset, source.datasets[step.dataset].view)
    without = "; ".join(f"{count} {reason}" for reason, count in record.left_out.items())
    end = (record.n_train, record.side_share, record.overlap, record.cut_off, record.t, record.seed, without)
    for m in record.measures:
        yield (*start, m.name, m.condition, m.value, m.low, m.high, m.n, m.chance, *end)
