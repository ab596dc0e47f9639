"""Which figures the bias lab's results make. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.core.store.store import Stored
from medvlm_tui.report.bias.drawings import draw_measures, draw_models, draw_overlays, draw_word_maps
from medvlm_tui.report.bias.rows import labs
from medvlm_tui.report.figures.canvas import chart_files
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import ReportInput
from medvlm_tui.stages.records.bias import EVERY_CONTROL, BiasRecord

# Measures by which models are shown side by side.
_COMPARED = (
    ("shift", "text"), ("shift_over_control", EVERY_CONTROL), ("flip_rate", "text"), ("robustness", ""),
    ("accuracy_reversed", "1"),
)  # fmt: skip


def bias_figures(source: ReportInput, figures: Path) -> Iterator[FileWritten]:
    """Draw each lab's overlays, measures and maps, and the models of each dataset side by side."""
    beside: dict[str, list[tuple[ModelSpec, Stored[BiasRecord]]]] = {}
    for step, lab in labs(source):
        model, dataset = source.models[step.model], source.datasets[step.dataset]
        beside.setdefault(step.dataset, []).append((model, lab))
        drawings = {"bias_images": draw_overlays, "bias": draw_measures}
        if lab.record.map_items:
            drawings["bias_maps"] = draw_word_maps
        for name, draw in drawings.items():
            path = figures / f"{file_stem(name, model.id, dataset.spec.id)}.png"
            draw(path, model, dataset, lab)
            yield from chart_files(path) if draw is draw_measures else (FileWritten(str(path), "figure"),)
    for name, several in beside.items():
        if len(several) > 1:
            yield from _models(source, name, several, figures)


def _models(
    source: ReportInput, name: str, several: list[tuple[ModelSpec, Stored[BiasRecord]]], figures: Path
) -> Iterator[FileWritten]:
    for measure, condition in _COMPARED:
        taken = [set(lab.record.by_name) for _, lab in several]
        conditions = [c for n, c in sorted(set.intersection(*taken)) if n == measure and condition in ("", c)]
        if conditions:
            path = figures / f"{file_stem('bias_models', measure, name)}.png"
            draw_models(path, source.datasets[name], several, measure, conditions[0])
            yield from chart_files(path)
