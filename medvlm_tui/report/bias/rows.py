"""The bias lab's tables: every measure of every model, groups of models compared, the images' own burned-in text."""

from __future__ import annotations

from collections.abc import Iterator

from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Stored
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Gathered, ReportInput, made_once
from medvlm_tui.stages.bias import BIAS as STAGE
from medvlm_tui.stages.bias import BIAS_GROUPS
from medvlm_tui.stages.records.bias import BiasGroupRecord, BiasRecord

BIAS = (
    *texts("model", "dataset", "label_view", "measure", "condition"),
    *numbers("value", "ci_low", "ci_high", "n", "chance"), *texts("words", "position"),
    *numbers("size", "contrast", "seed"),
)  # fmt: skip
GROUPS = (
    *texts("measure", "condition", "trait", "primary"), *numbers("difference", "p_value", "holm", "inside", "outside"),
    *numbers("datasets", "permutations"), *texts("exhaustive"),
)  # fmt: skip
TEXTS = texts("path", "tag", "value")


@made_once
def measured(results: Gathered) -> tuple[Table, ...]:
    """Return the tables of measures and of compared groups that the run has something for."""
    source, made = results.source, []
    found = list(source.records(STAGE))
    if found:
        rows = tuple(row for step, record in found for row in _measures(source, step, record))
        made.append(Table("bias", BIAS, rows, "Measures of the bias lab"))
    groups = [record for _, record in source.records(BIAS_GROUPS)]
    if groups:
        rows = tuple(_group(test) for record in groups for test in record.groups)
        made.append(Table("bias_groups", GROUPS, rows, "Groups of models under the bias lab's measures"))
    return tuple(made)


def burned_texts(source: ReportInput) -> Iterator[Table]:
    """Yield the images' own text, a table per dataset."""
    found = reversed(list(source.records(STAGE)))
    for dataset, record in {step.dataset: record for step, record in found}.items():
        yield Table(file_stem("burned_text", dataset), TEXTS, _texts(record), "Text in the images themselves")


def labs(source: ReportInput) -> list[tuple[Step, Stored[BiasRecord]]]:
    """Return the bias steps of the run's models that have a result."""
    return list(source.stored(STAGE))


def _measures(source: ReportInput, step: Step, record: BiasRecord) -> Iterator[Row]:
    view = source.datasets[step.dataset].view
    drawn = (record.position, record.height, record.contrast, record.seed)
    for m in record.measures:
        value = (m.name, m.condition, m.value, m.low, m.high, m.n, m.chance)
        yield (step.model, step.dataset, view, *value, " ".join(m.words), *drawn)


def _group(test: BiasGroupRecord) -> Row:
    return tuple(getattr(test, column.name) for column in GROUPS)


def _texts(record: BiasRecord) -> Iterator[Row]:
    """Yield rows as `--tags` reads them: whether an image bears text, and each common word on it."""
    for text in record.texts:
        yield (text.image, "burned_text", "yes" if text.boxes else "no")
        for word in text.words:
            yield (text.image, f"word_{word}", "yes")
