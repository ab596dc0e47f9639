"""Statistics: intervals of a probe's scores, pairs of models on one dataset, ranks over all datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medvlm_tui.core.plan import Step
from medvlm_tui.stages.gathered import FEWEST, over_cells
from medvlm_tui.stages.option import follows
from medvlm_tui.stages.stage import Draft, PlannedCell, Scope, Stage, View


@dataclass(frozen=True, slots=True)
class StatisticsParams:
    """Intervals of one model's scores on the hold-out; nothing in them is drawn."""

    confidence: float = 0.95


def _drafts(view: View) -> Iterator[Draft]:
    params = asdict(view.request.of(StatisticsParams))
    for probe in view.cell.of("probe"):
        protocol = probe.params["protocol"]
        yield Draft({**params, "protocol": protocol}, (probe.id,), protocol)


def _summary(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"accuracy": record["intervals"].get("accuracy")}


STATISTICS = Stage(
    kind="statistics",
    version=4,
    title="intervals",
    scope=Scope.CELL,
    work="medvlm_tui.engine.comparison.intervals_step",
    drafts=_drafts,
    summary=_summary,
    options=StatisticsParams,
    needs=("extract", "probe"),
    outputs="medvlm_tui.report.comparison.files",
    screen="scores",
)


@dataclass(frozen=True, slots=True)
class ComparisonParams:
    """Models beside each other, on one dataset and over all."""

    confidence: float = 0.95
    alpha: float = 0.05
    """Two models are told apart when their p-value, adjusted for all pairs, is below it."""
    seed: int = follows(0, "seed")
    """Of the exchanges that are drawn where all are too many."""


def _by_protocol(view: View) -> Iterator[tuple[str, list[tuple[PlannedCell, Step]], Mapping[str, Any]]]:
    """Yield each protocol with its probes and the parameters of a comparison of them."""
    params = asdict(view.request.of(ComparisonParams))
    for protocol in view.request.protocols:
        probes = [(cell, step) for cell, step in view.of("probe") if step.params["protocol"] == protocol]
        yield protocol, probes, {**params, "protocol": protocol}


def _pairs_drafts(view: View) -> Iterator[Draft]:
    for protocol, probes, params in _by_protocol(view):
        if len(probes) >= FEWEST:
            yield over_cells(params, probes, protocol)


def _pairs_summary(record: Mapping[str, Any]) -> Mapping[str, Any]:
    tests = [pair["differences"]["accuracy"] for pair in record["pairs"]]
    apart = sum(test["holm"] < record["alpha"] for test in tests)
    return {"pairs": len(record["pairs"]), "told_apart": apart}


PAIRS = Stage(
    kind="pairs",
    version=2,
    title="pairs of models",
    scope=Scope.DATASET,
    work="medvlm_tui.engine.comparison.pairs_step",
    drafts=_pairs_drafts,
    summary=_pairs_summary,
    options=ComparisonParams,
    asked_by="statistics",
    gathers="cells",
    fewest=FEWEST,
    screen="scores",
)


def _ranking_drafts(view: View) -> Iterator[Draft]:
    for protocol, probes, params in _by_protocol(view):
        models, datasets = {step.model for _, step in probes}, {step.dataset for _, step in probes}
        if len(models) >= FEWEST and len(datasets) >= FEWEST:
            yield over_cells(params, probes, protocol)


def _ranking_summary(record: Mapping[str, Any]) -> Mapping[str, Any]:
    ranks = record["rankings"]["accuracy"]["ranks"]
    return {} if ranks is None else {"chi2": ranks["chi2"], "told_apart": len(ranks["separable"])}


RANKING = Stage(
    kind="ranking",
    version=2,
    title="ranks of models",
    scope=Scope.RUN,
    work="medvlm_tui.engine.comparison.ranking_step",
    drafts=_ranking_drafts,
    summary=_ranking_summary,
    asked_by="statistics",
    gathers="cells",
    fewest=FEWEST,
    screen="scores",
)
