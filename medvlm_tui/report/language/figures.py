"""Charts of language: zero-shot, modality gap and words in pictures, the models side by side. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.figures.canvas import COLOURS, MARKERS, chart_files, label, new_figure, save_chart, style
from medvlm_tui.report.results.naming import dataset_title, file_stem, model_title
from medvlm_tui.report.results.run_results import ReportInput
from medvlm_tui.stages.language import ALIGNMENT, READING, ZERO_SHOT
from medvlm_tui.stages.records.language import AlignmentRecord, ReadingRecord, ZeroShotRecord

Ends = tuple[float, float | None, float | None]
"""A value with the ends of its interval, where it has one."""
Series = Mapping[str, Ends]
_SET_COLUMN = "balanced accuracy, held-out images"


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a dataset: models by row, one mark of each series in it."""

    name: str
    title: str
    axis: str
    rows: Mapping[str, Series]
    """Model -> series -> value."""
    chance: float | None = None


def language_figures(source: ReportInput, figures: Path) -> Iterator[FileWritten]:
    """Draw a chart of each kind for every dataset that has results of it."""
    for dataset in source.datasets:
        for chart in charts_of(source, dataset):
            path = figures / f"{file_stem(chart.name, dataset)}.png"
            _draw(path, source, dataset, chart)
            yield from chart_files(path)


def charts_of(source: ReportInput, dataset: str) -> Iterator[Chart]:
    """Yield the charts that a dataset has results for."""
    shots = {step.model: record for step, record in source.records(ZERO_SHOT) if step.dataset == dataset}
    if rows := {model: _of_sets(record) for model, record in shots.items()}:
        classes = max(len(record.classes) for record in shots.values())
        yield Chart("zero_shot", "Zero-shot by sets of prompts", _SET_COLUMN, rows, 1 / classes)
    gaps = {step.model: record for step, record in source.records(ALIGNMENT) if step.dataset == dataset}
    if rows := {model: found for model, record in gaps.items() if (found := _of_gap(record))}:
        yield Chart("alignment", "Distance of images and texts", "of the means of unit vectors", rows)
    read = {step.model: record for step, record in source.records(READING) if step.dataset == dataset}
    if rows := {model: _of_words(record) for model, record in read.items()}:
        words = max(len(record.words) for record in read.values())
        title = "Words burned into images, found among the words as texts"
        yield Chart("reading", title, "share of words towards whose text an image moves", rows, 1 / words)


def _of_sets(record: ZeroShotRecord) -> Series:
    scores = {each.name: each.hold_out.get("balanced_accuracy") for each in record.sets}
    return {name: (s.value, s.low, s.high) for name, s in scores.items() if s is not None and s.value is not None}


def _of_gap(record: AlignmentRecord) -> Series:
    wanted = {"modality_gap": "modality gap", "cosine_across": "mean cosine across"}
    found = (each for each in record.measures if each.name in wanted and each.value is not None)
    return {wanted[each.name]: (float(each.value or 0.0), each.low, each.high) for each in found}


def _of_words(record: ReadingRecord) -> Series:
    found = (each for each in record.measures if each.name == "word_retrieval")
    return {each.condition: (each.value, each.low, each.high) for each in found}


def _draw(path: Path, source: ReportInput, dataset: str, chart: Chart) -> None:
    names = list(dict.fromkeys(name for series in chart.rows.values() for name in series))
    with style():
        figure = new_figure(5.6, 0.30 * len(chart.rows) + 0.16 * len(names) + 1.1)
        axes = figure.subplots()
        for place, series in enumerate(chart.rows.values()):
            _row(axes, place, series, names)
        if chart.chance is not None:
            axes.axvline(chart.chance, color="#888888", lw=0.8, ls=":", label="by chance")
        titles = [label(model_title(source.models[model]), 30) for model in chart.rows]
        axes.set_yticks(range(len(titles)), titles)
        axes.set_ylim(-0.6, len(titles) - 0.4)
        axes.invert_yaxis()
        axes.set_xlabel(chart.axis)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
        axes.set_title(f"{chart.title}\n{label(dataset_title(source.datasets[dataset]), 50)}", loc="left")
        values = {model: {name: list(ends) for name, ends in series.items()} for model, series in chart.rows.items()}
        save_chart(figure, path, {"dataset": dataset, "chart": chart.name, "values": values, "chance": chart.chance})


def _row(axes: Axes, place: int, series: Series, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        if name not in series:
            continue
        value, low, high = series[name]
        y = place + 0.5 * ((number + 0.5) / len(names) - 0.5)
        colour = COLOURS[number % len(COLOURS)]
        if low is not None and high is not None:
            axes.plot((low, high), (y, y), color=colour, lw=1.2)
        axes.plot(value, y, MARKERS[number % len(MARKERS)], color=colour, ms=4, label=None if place else name, ls="")
