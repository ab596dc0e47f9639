"""What stands beside the scores: the study's Tables 1 and 2, cost, grid of t, calibration, leakage, ranks, groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset, ModelSpec
from medvlm_tui.report.formats.plain_tables import Field, Sheet
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.hold_outs import rank_rows
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Compared, Gathered
from medvlm_tui.report.scores.group_gap import gap_rows
from medvlm_tui.report.scores.score_table import percent, points
from medvlm_tui.report.scores.table_notes import data_warnings
from medvlm_tui.stages.protocols import SATURATED

_TRAITS = {
    "medical": "medical against general",
    "language_model_text_encoder": "language model as text encoder against another",
    "pmc_15m": "PMC-15M in training against not",
    "modality_seen": "modality seen in training against not",
}
_METRICS = {"accuracy": "accuracy", "f1": "F1", "macro_f1": "macro F1"}


def sheets(gathered: Gathered) -> tuple[Sheet, ...]:
    """Return every sheet that the run has something for; each repeats the warnings on the data."""
    warnings = tuple(data_warnings(gathered.cells))
    models = {cell.model.id: cell.model for cell in gathered.cells}
    datasets = {cell.dataset.spec.id: cell.dataset for cell in gathered.cells}
    made = [
        model_sheet(tuple(models.values())),
        dataset_sheet(tuple(datasets.values()), warnings),
        _cost(gathered, warnings),
        _grid(gathered.cells, warnings),
        calibration_sheet(gathered.cells, warnings),
        _leakage(gathered, warnings),
        *(sheet for compared in gathered.rankings for sheet in _ranks(compared, models, warnings)),
        rank_sheet(gathered.cells, warnings),
        _groups(gathered, warnings),
    ]
    return tuple(sheet for sheet in made if sheet.rows)


def model_row(model: ModelSpec) -> tuple[str, str, str, str, int, int]:
    """Return name, backbone, text encoder, pretraining data, dimension, input in pixels."""
    return (
        model_title(model), model.backbone, model.text_encoder, model.pretraining_data, model.dim(),
        model.preprocess.size_px,
    )  # fmt: skip


def dataset_row(dataset: Dataset) -> tuple[str, str, int, int, int | None]:
    """Return name, modality, number of classes, images here, images in the study (None: not in it)."""
    n = len(dataset.samples)
    return (dataset_title(dataset), dataset.spec.modality, len(dataset.classes), n, dataset.spec.published_n or None)


def model_sheet(models: Sequence[ModelSpec]) -> Sheet:
    """Return the study's Table 1: what each model is and was trained on."""
    fields = (
        Field("Model", "w", 70), Field("Backbone", "w", 61), Field("Text encoder", "w", 66),
        Field("Pretraining data", "w", 80), Field("d", "r"), Field("Input", "r"),
    )  # fmt: skip
    rows = tuple(tuple(str(value) for value in model_row(model)) for model in models)
    return Sheet("models", "Models", fields, rows)


def dataset_sheet(datasets: Sequence[Dataset], warnings: tuple[str, ...]) -> Sheet:
    """Return the study's Table 2: what each dataset is, and how many images of it are here."""
    fields = (
        Field("Dataset", "w", 130), Field("Modality", "l"), Field("Classes", "r"), Field("Images", "r"),
        Field("In the study", "r"),
    )  # fmt: skip
    rows = []
    for name, modality, classes, n, published in map(dataset_row, datasets):
        rows.append((name, clean(modality), str(classes), f"{n:,}", "" if published is None else f"{published:,}"))
    return Sheet("datasets", "Datasets", fields, tuple(rows), warnings)


def _cost(gathered: Gathered, warnings: tuple[str, ...]) -> Sheet:
    fields = (
        Field("Model", "w", 76), Field("Dataset", "w", 68), Field("Weights", "r"), Field("Images/s", "r"),
        Field("Memory", "r"), Field("Type", "r"), Field("Device", "r"),
    )  # fmt: skip
    rows = []
    for step, table in gathered.tables():
        if step.model in gathered.source.models and step.dataset in gathered.source.datasets:
            rows.append(_cost_row(gathered, step.model, step.dataset, table))
    notes = ("Memory: the most that was in use while features were computed, where it was recorded.", *warnings)
    return Sheet("cost", "Cost of the features", fields, tuple(rows), notes)


def _cost_row(gathered: Gathered, model: str, dataset: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    made, memory = table["provenance"], memory_gb(table["provenance"])
    parameters, rate = made.get("parameters"), made.get("images_per_second")
    return (
        model_title(gathered.source.models[model]),
        dataset_title(gathered.source.datasets[dataset]),
        f"{parameters / 1e6:.1f} M" if parameters else "",
        f"{rate:.1f}" if rate else "",
        f"{memory:.2f} GB" if memory is not None else "",
        clean(str(table["encoder"]["precision"])),
        clean(str(made.get("device", ""))),
    )


def memory_gb(provenance: Mapping[str, Any]) -> float | None:
    """Return the peak memory of an extraction in GB, None where it was not recorded."""
    peak = provenance.get("peak_memory_bytes")
    return None if peak is None else float(peak) / 1e9


def _grid(cells: Sequence[Cell], warnings: tuple[str, ...]) -> Sheet:
    fields = (
        Field("Model", "w", 84), Field("Dataset", "w", 84), Field("Protocol", "l"), Field("t", "r"),
        Field("Grid", "l"), Field("Tuned t", "r"), Field("its F1", "r"),
    )  # fmt: skip
    rows = [
        (
            model_title(cell.model), dataset_title(cell.dataset), clean(cell.protocol), f"{cell.t:g}",
            "saturated" if cell.saturated else "no training error" if cell.separated else "",
            f"{cell.tuned.t:g}" if cell.tuned else "", percent(cell.tuned.macro_f1) if cell.tuned else "",
        )
        for cell in cells
        if cell.t is not None
    ]  # fmt: skip
    notes = (
        f"S{SATURATED[1:]}.",
        "Tuned t: what the grid with 1e-5 to 0.1 too would choose where the grid has no training error at any t; its "
        "F1 is the largest of ten mean macro F1 on the folds' validation parts in %, hence optimistic.",
        *warnings,
    )
    return Sheet("grid", "The chosen t", fields, tuple(rows), notes)


def calibration_sheet(cells: Sequence[Cell], warnings: tuple[str, ...]) -> Sheet:
    """Return how far the Platt-scaled probabilities can be trusted, beside what calibrated ones would show."""
    fields = (
        Field("Model", "w", 78), Field("Dataset", "w", 78), Field("Protocol", "l"), Field("ECE", "r"),
        Field("if calibrated", "r"), Field("Debiased", "r"), Field("Brier", "r"), Field("if calibrated", "r"),
    )  # fmt: skip
    names = ("ece", "ece_calibrated", "ece_debiased", "brier", "brier_calibrated")
    rows = []
    for cell in cells:
        values = [None if (found := cell.metric(name)) is None else found.mean for name in names]
        if all(value is not None for value in values):
            ids = (model_title(cell.model), dataset_title(cell.dataset), clean(cell.protocol))
            rows.append((*ids, *(f"{value:.3f}" for value in values if value is not None)))
    notes = (
        "ECE: 15 bins of equal width. If calibrated: what the same images would show on average if every probability "
        "were true; an ECE near it says nothing against a model, and models are not ranked by it.",
        "Debiased: root mean square gap of confidence and accuracy, less the part that chance makes. Brier: 0 to 2.",
        *warnings,
    )
    return Sheet("calibration", "Calibration", fields, tuple(rows), notes)


def _leakage(gathered: Gathered, warnings: tuple[str, ...]) -> Sheet:
    fields = (
        Field("Model", "w", 80), Field("Dataset", "w", 80), Field("Metric", "l"), Field("Images", "l"),
        Field("paper", "r"), Field("grouped", "r"), Field("Difference", "r"), Field("95 %", "r"),
    )  # fmt: skip
    names = {cell.model.id: model_title(cell.model) for cell in gathered.cells}
    titles = {cell.dataset.spec.id: dataset_title(cell.dataset) for cell in gathered.cells}
    rows = []
    for model, dataset, _view, metric, images, paper, grouped, gap, low, high, *_ in gap_rows(
        gathered.cells, gathered.source.store
    ):
        if metric in ("accuracy", "macro_f1"):
            values = (percent(float(paper or 0)), percent(float(grouped or 0)), points(float(gap or 0)))
            bounds = "" if low is None or high is None else f"{points(float(low))} to {points(float(high))}"
            rows.append((names[str(model)], titles[str(dataset)], _METRICS[str(metric)], str(images), *values, bounds))
    notes = (
        "Paper minus grouped, in points. Same: every image by classifiers that were not trained on it, interval over "
        "whole groups. Two hold-outs: other images under each protocol, so that a part of the difference is chance.",
        *warnings,
    )
    return Sheet("leakage", "Paper minus grouped", fields, tuple(rows), notes)


def _ranks(compared: Compared, models: Mapping[str, ModelSpec], warnings: tuple[str, ...]) -> Iterator[Sheet]:
    for metric, ranking in compared.record["rankings"].items():
        ranks = ranking["ranks"]
        if ranks is None:
            continue
        order = sorted(zip(ranks["mean_ranks"], ranks["models"], strict=True))
        rows = tuple((model_title(models[m]) if m in models else clean(m), f"{rank:.2f}") for rank, m in order)
        notes = (
            f"Friedman chi2 {ranks['chi2']:.1f}, p {ranks['p_value']:.2g} ({ranks.get('method', 'chi2')}), "
            f"{ranks['datasets']} datasets; Nemenyi's critical difference {ranks['critical_difference']:.2f} at level "
            f"{ranks['alpha']:g} tells {len(ranks['separable'])} of {len(ranks['pairs'])} pairs apart.",
            *warnings,
        )
        title = f"Mean ranks by {_METRICS[metric]}, protocol {compared.protocol}"
        yield Sheet(
            f"ranks-{compared.protocol}-{metric}", title, (Field("Model"), Field("Mean rank", "r")), rows, notes
        )


def rank_sheet(cells: Sequence[Cell], warnings: tuple[str, ...]) -> Sheet:
    """Return each model's rank on each dataset over the hold-outs; no rows where there is only one."""
    fields = (
        Field("Dataset", "w", 90), Field("Protocol", "l"), Field("Model", "w", 90), Field("Mean rank", "r"),
        Field("Lowest", "r"), Field("Highest", "r"),
    )  # fmt: skip
    rows = []
    for dataset, protocol in dict.fromkeys((cell.dataset.spec.id, cell.protocol) for cell in cells):
        here = [cell for cell in cells if (cell.dataset.spec.id, cell.protocol) == (dataset, protocol)]
        for cell, *ranks in sorted(rank_rows(here), key=lambda row: row[1]):
            ids = (dataset_title(cell.dataset), clean(protocol), model_title(cell.model))
            rows.append((*ids, *(f"{rank:.1f}" for rank in ranks)))
    note = "Ranks by accuracy on each hold-out, 1 is the best; the spread shows what one seed cannot."
    return Sheet("hold-outs", "Ranks over the hold-outs", fields, tuple(rows), (note, *warnings))


def _groups(gathered: Gathered, warnings: tuple[str, ...]) -> Sheet:
    fields = (
        Field("Groups of models", "w", 92), Field("Dataset", "w", 54), Field("Metric", "l"), Field("Models", "r"),
        Field("Difference", "r"), Field("p", "r"), Field("p (Holm)", "r"),
    )  # fmt: skip
    rows = []
    for compared in (*gathered.pairs, *gathered.rankings):
        dataset = gathered.source.datasets.get(compared.dataset)
        name = "all" if dataset is None else dataset_title(dataset)
        for group in compared.record["groups"]:
            rows.append((
                _TRAITS.get(group["trait"], clean(group["trait"])), name, _METRICS[group["metric"]],
                f"{group['inside']} : {group['outside']}", points(group["difference"]), f"{group['p_value']:.2g}",
                f"{group['holm']:.2g}",
            ))  # fmt: skip
    note = "Permutation tests that exchange models; the difference is of the groups' mean scores, in points."
    return Sheet("groups", "Groups of models", fields, tuple(rows), (note, *warnings))
