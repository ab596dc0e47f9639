"""The table of language for print: zero-shot, distance of images and texts, and words found, one row per cell."""

from __future__ import annotations

from medvlm_tui.report.formats.table import Column, Printed, Table, texts
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.stages.language import ALIGNMENT, READING, ZERO_SHOT
from medvlm_tui.stages.records.language import AlignmentRecord, ReadingRecord, ZeroShotRecord

_COLUMNS = (
    *texts("model", "dataset"),
    Column("balanced_accuracy", "balanced accuracy", "number"),
    Column("accuracy", "", "number"),
    Column("modality_gap", "modality gap", "number"),
    Column("word_retrieval", "words found", "number"),
)
_NOTES = (
    "Zero-shot by the set ensemble on held-out images; 95 % intervals over images.",
    "Modality gap: distance of the means of unit image and text vectors. Words found: share of burned-in words towards "
    "whose text an image moves further than towards the other words' texts.",
)
Cell = tuple[str, str]


def printed_table(results: Gathered) -> Table:
    """Return one row per model and dataset that has a result of language."""
    source = results.source
    shots = {(step.model, step.dataset): record for step, record in source.records(ZERO_SHOT)}
    gaps = {(step.model, step.dataset): record for step, record in source.records(ALIGNMENT)}
    read = {(step.model, step.dataset): record for step, record in source.records(READING)}
    cells: list[Cell] = list(dict.fromkeys([*shots, *gaps, *read]))
    rows = tuple(
        (
            model_title(source.models[model]),
            dataset_title(source.datasets[dataset]),
            _score(shots.get((model, dataset)), "balanced_accuracy"),
            _score(shots.get((model, dataset)), "accuracy"),
            _gap(gaps.get((model, dataset))),
            _words(read.get((model, dataset))),
        )
        for model, dataset in cells
    )
    return Table("language", _COLUMNS, rows, "Classes by their names alone, and words in pictures", _NOTES)


def _score(record: ZeroShotRecord | None, name: str) -> Printed | None:
    found = None if record is None else record.headline.hold_out.get(name)
    return None if found is None or found.value is None else _percent(found.value, found.low, found.high)


def _gap(record: AlignmentRecord | None) -> Printed | None:
    found = next((each for each in record.measures if each.name == "modality_gap"), None) if record else None
    if found is None or found.value is None:
        return None
    ends = "" if found.low is None or found.high is None else f"[{found.low:.2f}, {found.high:.2f}]"
    return Printed(f"{found.value:.2f}", found.value, interval=ends)


def _words(record: ReadingRecord | None) -> Printed | None:
    found = None if record is None else record.by_name.get(("word_retrieval", "text"))
    return None if found is None else _percent(found.value, found.low, found.high)


def _percent(value: float, low: float | None, high: float | None) -> Printed:
    ends = "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"
    return Printed(f"{100 * value:.1f}", value, unit="%", interval=ends)
