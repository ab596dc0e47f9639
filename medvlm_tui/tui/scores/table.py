"""The table of scores as values: what a cell shows under a protocol, a metric and a view, ranks, best and ties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.catalog.published import PAPER, POSTER, published
from medvlm_tui.measures import CALIBRATION
from medvlm_tui.stages.records.language import ZeroShotRecord
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.survey_rows import Cell, DatasetRow, Reading, reading

if TYPE_CHECKING:
    # The report is imported with the first table that is drawn: screens start without it.
    from medvlm_tui.report.formats.table import Mark
    from medvlm_tui.report.scores.verdicts import Verdicts

NO_SHARES = frozenset({"auroc", *CALIBRATION})
"""Metrics that are no percentages."""
VIEWS = ("score", "interval", "published", "difference", "leakage", "grid", "zero-shot")
NO_ZERO_SHOTS: Mapping[tuple[str, str], ZeroShotRecord] = {}
_LOWER_IS_BETTER = NO_SHARES - {"auroc"}


@dataclass(frozen=True, slots=True)
class ShownScore:
    """One cell of the table."""

    mean: float
    std: float | None
    published: float | None
    """Of the paper, of the poster under its own protocol."""
    other: str
    """Letters of what is not as published: n (number of images), c (of classes), p (the protocol)."""
    leakage: float | None
    """The score under `paper` less that under `grouped`."""
    t: float | None
    saturated: bool
    tuned_t: float | None
    mark: Mark
    interval: tuple[float, float] | None = None
    """Lower and upper end over the held-out images."""
    best: bool = False
    tied: bool = False
    """Compared with the best, and not told apart from it."""
    too_few: bool = False
    """Compared with the best on too few images for any difference to show."""

    zero_shot: float | None = None
    """Of the model's own texts, on the same held-out images."""
    better_than: float | None = None
    """Share of the other models of the column that it is better than; equal ones count half."""

    @property
    def delta(self) -> float | None:
        """Ours less the published one."""
        return None if self.published is None else self.mean - self.published


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Models x datasets under one protocol and metric."""

    scores: Mapping[tuple[str, str], ShownScore]
    ranks: Mapping[str, float] = field(default_factory=dict)
    """Mean rank of each model that has a score on every dataset that has any."""
    lower_is_better: bool = False

    @property
    def models(self) -> list[str]:
        """Those with a score, in the catalog's order."""
        return list(dict.fromkeys(model for model, _ in self.scores))

    @property
    def datasets(self) -> list[str]:
        """Those with a score, in the catalog's order."""
        return list(dict.fromkeys(dataset for _, dataset in self.scores))


def probe_of(cell: Cell, protocol: str) -> Reading | None:
    """Return the cell's scores under a protocol; the run under way knows two of the paper's before the survey does."""
    if protocol in cell.probes:
        return cell.probes[protocol]
    if protocol != "paper" or cell.accuracy is None:
        return None
    numbers = {name: getattr(cell, name) for name in ("accuracy", "std", "macro_f1", "t", "saturated")}
    return reading(cell.keys.get("probe", ""), numbers)


def protocols(board: Board) -> list[str]:
    """Return the protocols that some cell has scores under, `paper` first."""
    found = dict.fromkeys(name for cell in board.cells.values() for name in cell.probes)
    return ["paper", *(name for name in found if name != "paper")]


def score_table(
    board: Board,
    protocol: str,
    metric: str,
    verdicts: Mapping[tuple[str, str], Sequence[Verdicts]],
    zero_shots: Mapping[tuple[str, str], ZeroShotRecord] = NO_ZERO_SHOTS,
) -> ScoreTable:
    """Return the table.

    `verdicts` (dataset, protocol) -> what is known of its pairs of models, the newest last; `zero_shots` (model,
    dataset) -> the results of texts that were read.
    """
    scores: dict[tuple[str, str], ShownScore] = {}
    for model in board.models:
        for dataset in board.datasets:
            shown = _score(board, board.cell(model, dataset), protocol, metric)
            if shown is not None:
                scores[model, dataset] = replace(shown, zero_shot=_zero_shot(zero_shots.get((model, dataset)), metric))
    sign = -1 if metric in _LOWER_IS_BETTER else 1
    for dataset in board.datasets:
        column = {model: score.mean * sign for (model, of), score in scores.items() if of == dataset}
        if len(column) > 1:
            best = max(column, key=lambda model: column[model])
            for model in column:
                known = verdicts.get((dataset, protocol), ())
                is_best = column[model] == column[best]
                verdict = None if is_best else newest(known, model, best, metric)
                scores[model, dataset] = replace(
                    scores[model, dataset],
                    best=is_best,
                    better_than=_better_than(column, model),
                    tied=verdict is not None and verdict.tied(model, best, metric),
                    too_few=verdict is not None and verdict.undecided(model, best, metric),
                )
    return ScoreTable(scores, mean_ranks(scores, sign), lower_is_better=sign < 0)


def _zero_shot(record: ZeroShotRecord | None, metric: str) -> float | None:
    score = None if record is None else record.headline.hold_out.get(metric)
    return None if score is None else score.value


def _better_than(column: Mapping[str, float], model: str) -> float:
    below = sum(value < column[model] for value in column.values())
    same = sum(value == column[model] for value in column.values()) - 1
    return (below + same / 2) / (len(column) - 1)


def mean_ranks(scores: Mapping[tuple[str, str], ShownScore], sign: int = 1) -> dict[str, float]:
    """Return the mean rank of each model with a score everywhere, equal scores sharing their ranks; 1 is best."""
    datasets = list(dict.fromkeys(dataset for _, dataset in scores))
    models = dict.fromkeys(model for model, _ in scores)
    whole = [model for model in models if all((model, dataset) in scores for dataset in datasets)]
    if len(whole) < 2:
        return {}
    totals = dict.fromkeys(whole, 0.0)
    for dataset in datasets:
        values = {model: scores[model, dataset].mean * sign for model in whole}
        for model, value in values.items():
            above = sum(other > value for other in values.values())
            same = sum(other == value for other in values.values())
            totals[model] += above + (same + 1) / 2
    return {model: total / len(datasets) for model, total in totals.items()}


def ordered(table: ScoreTable, models: Iterable[str], sort: str) -> list[str]:
    """Return models by `catalog`, `mean rank` or the id of a dataset, the best first; those without a value last."""
    listed = list(models)
    if sort == "mean rank":
        return sorted(listed, key=lambda model: table.ranks.get(model, float("inf")))
    if sort == "catalog":
        return listed
    sign = 1 if table.lower_is_better else -1
    column = {model: sign * table.scores[model, sort].mean for model in listed if (model, sort) in table.scores}
    return sorted(listed, key=lambda model: (model not in column, column.get(model, 0.0)))


def _score(board: Board, cell: Cell, protocol: str, metric: str) -> ShownScore | None:
    probe = probe_of(cell, protocol)
    if probe is None or metric not in probe.metrics:
        return None
    mean, std = probe.metrics[metric]
    printed = published(cell.dataset, cell.model, metric, POSTER if protocol == "poster" else PAPER)
    dataset = board.datasets[cell.dataset]
    return ShownScore(
        mean, std, None if printed is None else printed.mean,
        _other(dataset, probe.n or dataset.images, protocol),
        _leakage(cell, metric), probe.t, probe.saturated, probe.tuned_t, _mark(cell), probe.intervals.get(metric),
    )  # fmt: skip


def _other(dataset: DatasetRow, images: int, protocol: str) -> str:
    """Return what differs from the score that was published; the letters of `report.scores.published_difference`."""
    spec = load_datasets().get(dataset.id)
    classes = spec.published_classes if spec is not None else 0
    found = {
        "n": bool(dataset.published_n) and images != dataset.published_n,
        "c": bool(classes and dataset.classes) and len(dataset.classes) != classes,
        "p": protocol not in ("paper", "poster"),
    }
    return "".join(letter for letter, other in found.items() if other)


def _leakage(cell: Cell, metric: str) -> float | None:
    by_image, by_group = probe_of(cell, "paper"), cell.probes.get("grouped")
    if metric.startswith(("ece", "brier")):
        return None  # more is worse: the difference would mean the opposite
    if by_image is None or by_group is None or metric not in by_image.metrics or metric not in by_group.metrics:
        return None
    return by_image.metrics[metric][0] - by_group.metrics[metric][0]


def _mark(cell: Cell) -> Mark:
    from medvlm_tui.report.scores.published_difference import training_mark

    model, dataset = load_models().get(cell.model), load_datasets().get(cell.dataset)
    return training_mark(model, dataset) if model is not None and dataset is not None else ""


def newest(known: Sequence[Verdicts], model: str, best: str, metric: str) -> Verdicts | None:
    """Return the newest comparison that has both models."""
    return next((one for one in reversed(known) if one.p_value(model, best, metric) is not None), None)
