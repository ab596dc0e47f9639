"""Statistics: intervals of a probe's scores, pairs of models on one dataset, ranks over all datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.gathered import FEWEST, by_protocol, over_cells
from medvlm_tui.stages.params.comparison import ComparisonParams, StatisticsParams
from medvlm_tui.stages.records.comparison import IntervalsRecord, PairsRecord, RankingsRecord
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    params = asdict(view.request.of(StatisticsParams))
    for probe in view.cell.of("probe"):
        protocol = probe.params["protocol"]
        yield Draft({**params, "protocol": protocol}, (probe.id,), protocol)


def _summary(record: IntervalsRecord) -> Mapping[str, Any]:
    return {"accuracy": record.intervals.get("accuracy")}


STATISTICS = Stage(
    kind="statistics",
    version=5,
    title="intervals",
    scope=Scope.CELL,
    record=IntervalsRecord,
    work="medvlm_tui.engine.comparison.intervals_step",
    drafts=_drafts,
    summary=_summary,
    options=StatisticsParams,
    needs=("extract", "probe"),
    outputs="medvlm_tui.report.comparison.files",
    screen="scores",
)


def _pairs_drafts(view: View) -> Iterator[Draft]:
    for protocol, probes, params in by_protocol(view, ComparisonParams):
        if len(probes) >= FEWEST:
            yield over_cells(params, probes, protocol)


def _pairs_summary(record: PairsRecord) -> Mapping[str, Any]:
    apart = sum(pair.differences["accuracy"].holm < record.alpha for pair in record.pairs)
    return {"pairs": len(record.pairs), "told_apart": apart}


PAIRS = Stage(
    kind="pairs",
    version=2,
    title="pairs of models",
    scope=Scope.DATASET,
    record=PairsRecord,
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
    for protocol, probes, params in by_protocol(view, ComparisonParams):
        models, datasets = {step.model for _, step in probes}, {step.dataset for _, step in probes}
        if len(models) >= FEWEST and len(datasets) >= FEWEST:
            yield over_cells(params, probes, protocol)


def _ranking_summary(record: RankingsRecord) -> Mapping[str, Any]:
    ranks = record.rankings["accuracy"].ranks
    return {} if ranks is None else {"chi2": ranks.chi2, "told_apart": len(ranks.separable)}


RANKING = Stage(
    kind="ranking",
    version=2,
    title="ranks of models",
    scope=Scope.RUN,
    record=RankingsRecord,
    work="medvlm_tui.engine.comparison.ranking_step",
    drafts=_ranking_drafts,
    summary=_ranking_summary,
    asked_by="statistics",
    gathers="cells",
    fewest=FEWEST,
    screen="scores",
)
