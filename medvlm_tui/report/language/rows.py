"""The rows of zero_shot.csv, prompts.csv, alignment.csv and reading.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medvlm_tui.report.formats.table import Table, Value, numbers, texts
from medvlm_tui.report.results.run_results import Gathered, ReportInput, made_once
from medvlm_tui.stages.language import ALIGNMENT, READING, ZERO_SHOT
from medvlm_tui.stages.records.language import PromptSetRecord, ScoreRecord, ZeroShotRecord

HOLD_OUT, ALL = "hold_out", "all"
NO_PUBLISHED = "no value was published for this model on this dataset"
ZERO_SHOT_COLUMNS = (
    *texts("model", "dataset", "label_view", "prompt_set", "rows", "metric"),
    *numbers("mean", "ci_low", "ci_high", "n", "scale", "published", "delta"),
    *numbers("p_value", "holm"),
    *texts("note"),
)
PROMPTS_COLUMNS = (
    *texts("dataset", "class", "prompt_set", "prompt", "source"),
    *numbers("tokens"),
    *texts("cut", "model", "fallback"),
)
ALIGNMENT_COLUMNS = (
    *texts("model", "dataset", "measure", "condition"),
    *numbers("value", "ci_low", "ci_high", "n", "chance", "p_value"),
    *texts("prompt_set"),
)
READING_COLUMNS = (
    *texts("model", "dataset", "label_view", "measure", "condition"),
    *numbers("value", "ci_low", "ci_high", "n", "chance"),
    *texts("words", "position"),
    *numbers("size", "contrast", "seed"),
)


@made_once
def tables_of(results: Gathered) -> tuple[Table, ...]:
    """Return the tables that the run has rows for."""
    source = results.source
    made = (
        Table("zero_shot", ZERO_SHOT_COLUMNS, tuple(_zero_shot(source))),
        Table("prompts", PROMPTS_COLUMNS, tuple(_prompts(source))),
        Table("alignment", ALIGNMENT_COLUMNS, tuple(_alignment(source))),
        Table("reading", READING_COLUMNS, tuple(_reading(source)), "Words in pictures, by words"),
    )
    return tuple(table for table in made if table.rows)


def _zero_shot(source: ReportInput) -> Iterator[tuple[Value, ...]]:
    for step, record in source.records(ZERO_SHOT):
        view = source.datasets[step.dataset].view
        for each in record.sets:
            start = (step.model, step.dataset, view, each.name)
            yield from _scores(start, each.hold_out, HOLD_OUT, record)
            yield from _scores(start, each.all_rows, ALL, record)
            yield from _further(start, each, record)
        end = (None, None, record.n_test, record.factor, None, None, None, None, "")
        whole = (step.model, step.dataset, view, "*", HOLD_OUT)
        yield (*whole, "flips_between_sets", record.flips_between_sets, *end)


def _scores(
    start: tuple[Value, ...], scores: Mapping[str, ScoreRecord], rows: str, record: ZeroShotRecord
) -> Iterator[tuple[Value, ...]]:
    n = record.n_test if rows == HOLD_OUT else record.n
    for name, score in scores.items():
        note = NO_PUBLISHED if name in ("accuracy", "balanced_accuracy") else ""
        yield (*start, rows, name, score.value, score.low, score.high, n, record.factor, None, None, None, None, note)


def _further(start: tuple[Value, ...], each: PromptSetRecord, record: ZeroShotRecord) -> Iterator[tuple[Value, ...]]:
    """Yield extras, controls, the templates one by one, and zero-shot beside the probes."""
    n, scale = record.n_test, record.factor

    def row(metric: str, value: float | None, low: float | None = None, high: float | None = None,
            p_value: float | None = None, holm: float | None = None, note: str = "") -> tuple[Value, ...]:  # fmt: skip
        return (*start, HOLD_OUT, metric, value, low, high, n, scale, None, None, p_value, holm, note)

    for name, extra in each.extras.items():
        yield row(name, extra, note="extra")
    yield row("balanced_accuracy_permuted_names", each.by_chance, p_value=each.p_value, note="control")
    values = sorted((prompt.scores["balanced_accuracy"], prompt.prompt) for prompt in each.prompts)
    if values:
        yield row("balanced_accuracy_worst_template", values[0][0], note=values[0][1])
        yield row("balanced_accuracy_median_template", values[len(values) // 2][0])
        yield row("balanced_accuracy_best_template", values[-1][0], note=values[-1][1])
        yield row("flips_of_a_template", max(prompt.flips for prompt in each.prompts), note="the largest")
    for found in each.versus:
        yield row(
            f"accuracy_less_{found.protocol}", found.value, found.low, found.high, found.p_value, found.holm, "paired"
        )


def _prompts(source: ReportInput) -> Iterator[tuple[Value, ...]]:
    for step, record in source.records(ZERO_SHOT):
        for each in record.sets:
            for words in each.words:
                fallback = "class name" if words.class_name in each.fallback else ""
                cut = "cut" if words.cut else ""
                start = (step.dataset, words.class_name, each.name, words.prompt, each.source, words.tokens)
                yield (*start, cut, step.model, fallback)


def _alignment(source: ReportInput) -> Iterator[tuple[Value, ...]]:
    for step, record in source.records(ALIGNMENT):
        for each in record.measures:
            start = (step.model, step.dataset, each.name, each.condition, each.value, each.low, each.high)
            yield (*start, each.n, each.chance, each.p_value, record.set_name)


def _reading(source: ReportInput) -> Iterator[tuple[Value, ...]]:
    for step, record in source.records(READING):
        drawn = (record.position, record.height, record.contrast, record.seed)
        for m in record.measures:
            start = (step.model, step.dataset, source.datasets[step.dataset].view, m.name, m.condition)
            yield (*start, m.value, m.low, m.high, m.n, m.chance, " ".join(m.words), *drawn)
