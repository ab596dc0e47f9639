"""The supplement to the scores: Tables 1 and 2, cost, grid of t, calibration, leakage, ranks, groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset, ModelSpec
from medvlm_tui.report.formats.table import Column, Printed, Row, Table, Value, number, numbers, right, texts, wrapped
from medvlm_tui.report.results.cells import Cell, by_task
from medvlm_tui.report.results.hold_outs import rank_rows
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Compared, Gathered, made_once
from medvlm_tui.report.scores.group_gap import gap_table
from medvlm_tui.report.scores.score_table import difference, percentage, points
from medvlm_tui.report.scores.table_notes import data_warnings
from medvlm_tui.stages.protocols import SATURATED
from medvlm_tui.stages.records.comparison import PairsRecord, RankingsRecord
from medvlm_tui.stages.records.extract import ExtractRecord, Provenance

_TRAITS = {
    "medical": "medical against general",
    "language_model_text_encoder": "language model as text encoder against another",
    "pmc_15m": "PMC-15M in training against not",
    "modality_seen": "modality seen in training against not",
}
_METRICS = {"accuracy": "accuracy", "f1": "F1", "macro_f1": "macro F1"}


@made_once
def tables(gathered: Gathered) -> tuple[Table, ...]:
    """Return every table that the run has something for; each repeats the warnings on the data."""
    warnings = tuple(data_warnings(gathered.cells))
    models = {cell.model.id: cell.model for cell in gathered.cells}
    datasets = {cell.dataset.spec.id: cell.dataset for cell in gathered.cells}
    made = [
        models_printed(tuple(models.values())),
        datasets_printed(tuple(datasets.values()), warnings),
        _cost(gathered, warnings),
        _grid(gathered.cells, warnings),
        calibration(gathered.cells, warnings),
        _leakage(gathered, warnings),
        *(table for compared in gathered.rankings for table in _ranks(compared, models, warnings)),
        hold_out_ranks(gathered.cells, warnings),
        _groups(gathered, warnings),
    ]
    return tuple(table for table in made if table.rows)


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


def models_printed(models: Sequence[ModelSpec]) -> Table:
    """Return the study's Table 1: what each model is and was trained on."""
    columns = (
        wrapped("Model", 70), wrapped("Backbone", 61), wrapped("Text encoder", 66), wrapped("Pretraining data", 80),
        *numbers("d", "Input"),
    )  # fmt: skip
    return Table("models", columns, tuple(map(model_row, models)), "Models")


def datasets_printed(datasets: Sequence[Dataset], warnings: tuple[str, ...]) -> Table:
    """Return the study's Table 2: what each dataset is, and how many images of it are here."""
    columns = (wrapped("Dataset", 130), *texts("Modality"), *numbers("Classes", "Images", "In the study"))
    rows = tuple(
        (name, clean(modality), classes, number(n, ","), number(published, ","))
        for name, modality, classes, n, published in map(dataset_row, datasets)
    )
    return Table("datasets", columns, rows, "Datasets", warnings)


def _cost(gathered: Gathered, warnings: tuple[str, ...]) -> Table:
    columns = (
        wrapped("Model", 76), wrapped("Dataset", 68), *numbers("Weights", "Images/s", "Memory"),
        *right("Type", "Device"),
    )  # fmt: skip
    rows = []
    for step, table in gathered.tables:
        if step.model in gathered.source.models and step.dataset in gathered.source.datasets:
            rows.append(_cost_row(gathered, step.model, step.dataset, table))
    notes = ("Memory: the most that was in use while features were computed, where it was recorded.", *warnings)
    return Table("cost", columns, tuple(rows), "Cost of the features", notes)


def _cost_row(gathered: Gathered, model: str, dataset: str, table: ExtractRecord) -> Row:
    made, memory = table.provenance, memory_gb(table.provenance)
    parameters, rate = made.parameters, made.images_per_second
    return (
        model_title(gathered.source.models[model]),
        dataset_title(gathered.source.datasets[dataset]),
        Printed(f"{parameters / 1e6:.1f} M", parameters) if parameters else None,
        number(rate or None, ".1f"),
        None if memory is None else Printed(f"{memory:.2f} GB", memory),
        clean(table.encoder.precision),
        clean(made.device),
    )


def memory_gb(provenance: Provenance) -> float | None:
    """Return the peak memory of an extraction in GB, None where it was not recorded."""
    peak = provenance.peak_memory_bytes
    return None if peak is None else peak / 1e9


def _grid(cells: Sequence[Cell], warnings: tuple[str, ...]) -> Table:
    columns = (
        wrapped("Model", 84), wrapped("Dataset", 84), *texts("Protocol"), *numbers("t"), *texts("Grid"),
        *numbers("Tuned t", "its F1"),
    )  # fmt: skip
    rows = [
        (
            model_title(cell.model), dataset_title(cell.dataset), clean(cell.protocol), number(cell.t, "g"),
            "saturated" if cell.saturated else "no training error" if cell.separated else "",
            *((number(cell.tuned.t, "g"), percentage(cell.tuned.macro_f1)) if cell.tuned else (None, None)),
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
    return Table("grid", columns, tuple(rows), "The chosen t", notes)


def calibration(cells: Sequence[Cell], warnings: tuple[str, ...]) -> Table:
    """Return how far the Platt-scaled probabilities can be trusted, beside what calibrated ones would show."""
    names = ("ece", "ece_calibrated", "ece_debiased", "brier", "brier_calibrated")
    titles = ("ECE", "if calibrated", "Debiased", "Brier", "if calibrated")
    measured = tuple(Column(name, title, "number") for name, title in zip(names, titles, strict=True))
    columns = (wrapped("Model", 78), wrapped("Dataset", 78), *texts("Protocol"), *measured)
    rows = []
    for cell in cells:
        values = [None if (found := cell.metric(name)) is None else found.mean for name in names]
        if all(value is not None for value in values):
            ids = (model_title(cell.model), dataset_title(cell.dataset), clean(cell.protocol))
            rows.append((*ids, *(number(value, ".3f") for value in values)))
    notes = (
        "ECE: 15 bins of equal width. If calibrated: what the same images would show on average if every probability "
        "were true; an ECE near it says nothing against a model, and models are not ranked by it.",
        "Debiased: root mean square gap of confidence and accuracy, less the part that chance makes. Brier: 0 to 2.",
        *warnings,
    )
    return Table("calibration", columns, tuple(rows), "Calibration", notes)


def _leakage(gathered: Gathered, warnings: tuple[str, ...]) -> Table:
    columns = (
        wrapped("Model", 80), wrapped("Dataset", 80), *texts("Metric", "Images"),
        *numbers("paper", "grouped", "Difference"), *right("95 %"),
    )  # fmt: skip
    names = {cell.model.id: model_title(cell.model) for cell in gathered.cells}
    titles = {cell.dataset.spec.id: dataset_title(cell.dataset) for cell in gathered.cells}
    rows: list[Row] = []
    for model, dataset, _view, metric, images, paper, grouped, gap, low, high, *_ in gap_table(gathered).values:
        if metric in ("accuracy", "macro_f1"):
            ids = (names[str(model)], titles[str(dataset)], _METRICS[str(metric)], str(images))
            values = (percentage(_float(paper)), percentage(_float(grouped)), difference(_float(gap)))
            bounds = "" if low is None or high is None else f"{points(_float(low))} to {points(_float(high))}"
            rows.append((*ids, *values, bounds))
    notes = (
        "Paper minus grouped, in points. Same: every image by classifiers that were not trained on it, interval over "
        "whole groups; F1 of all images together. Two hold-outs: other images under each protocol, so that a "
        "part of the difference is chance.",
        *warnings,
    )
    return Table("leakage", columns, tuple(rows), "Paper minus grouped", notes)


def _ranks(
    compared: Compared[RankingsRecord], models: Mapping[str, ModelSpec], warnings: tuple[str, ...]
) -> Iterator[Table]:
    for metric, ranking in compared.record.rankings.items():
        ranks = ranking.ranks
        if ranks is None:
            continue
        order = sorted(zip(ranks.mean_ranks, ranks.models, strict=True))
        rows = tuple((model_title(models[m]) if m in models else clean(m), number(rank, ".2f")) for rank, m in order)
        notes = (
            f"Friedman chi2 {ranks.chi2:.1f}, p {ranks.p_value:.2g} ({ranks.method}), "
            f"{ranks.datasets} datasets; Nemenyi's critical difference {ranks.critical_difference:.2f} at level "
            f"{ranks.alpha:g} tells {len(ranks.separable)} of {len(ranks.pairs)} pairs apart.",
            *warnings,
        )
        title = f"Mean ranks by {_METRICS[metric]}, protocol {compared.protocol}"
        columns = (*texts("Model"), *numbers("Mean rank"))
        yield Table(f"ranks-{compared.protocol}-{metric}", columns, rows, title, notes)


def hold_out_ranks(cells: Sequence[Cell], warnings: tuple[str, ...]) -> Table:
    """Return each model's rank on each dataset over the hold-outs; no rows where there is only one."""
    columns = (
        wrapped("Dataset", 90), *texts("Protocol"), wrapped("Model", 90), *numbers("Mean rank", "Lowest", "Highest"),
    )  # fmt: skip
    rows = []
    for here in by_task(cells).values():
        for cell, *ranks in sorted(rank_rows(here), key=lambda row: row[1]):
            ids = (dataset_title(cell.dataset), clean(cell.protocol), model_title(cell.model))
            rows.append((*ids, *(number(rank, ".1f") for rank in ranks)))
    note = "Ranks by accuracy on each hold-out, 1 is the best; the spread shows what one seed cannot."
    return Table("hold-outs", columns, tuple(rows), "Ranks over the hold-outs", (note, *warnings))


def _groups(gathered: Gathered, warnings: tuple[str, ...]) -> Table:
    columns = (
        wrapped("Groups of models", 92), wrapped("Dataset", 54), *texts("Metric"), *right("Models"),
        *numbers("Difference", "p", "p (Holm)"),
    )  # fmt: skip
    rows = []
    everything: tuple[Compared[PairsRecord] | Compared[RankingsRecord], ...] = (*gathered.pairs, *gathered.rankings)
    for compared in everything:
        dataset = gathered.source.datasets.get(compared.dataset)
        name = "all" if dataset is None else dataset_title(dataset)
        for group in compared.record.groups:
            rows.append((
                _TRAITS.get(group.trait, clean(group.trait)), name, _METRICS[group.metric],
                f"{group.inside} : {group.outside}", difference(group.difference),
                number(group.p_value, ".2g"), number(group.holm, ".2g"),
            ))  # fmt: skip
    note = "Permutation tests that exchange models; the difference is of the groups' mean scores, in points."
    return Table("groups", columns, tuple(rows), "Groups of models", (note, *warnings))


def _float(value: Value) -> float:
    assert isinstance(value, float)
    return value
