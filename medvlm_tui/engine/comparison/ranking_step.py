"""Models over the datasets of a run: ranks, what separates them, and groups of models over all.

Over several hold-outs the scores that are ranked are the means over them, as they are printed; how far the ranks of
the single hold-outs spread stands beside.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from medvlm_tui.catalog.published import metric_for
from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.comparison.group_records import Traits, group_records
from medvlm_tui.engine.step.inputs import AGAIN, params_of
from medvlm_tui.engine.step.job import RunJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.ranks import rank_models, rank_pairs
from medvlm_tui.stages.comparison import RANKING
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.params.comparison import ComparisonParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.comparison import (
    GroupRecord,
    RankingRecord,
    RankingsRecord,
    RankPairRecord,
    RanksRecord,
)

Floats = NDArray[np.float64]
# As the tables print them: F1 is macro, of the positive class where the study's is.
PRINTED = ("accuracy", "f1")


def run(job: RunJob, context: StepContext) -> Iterator[Event]:
    """Rank the models of a run by the probes in the step's parameters; raises MedvlmError when one is gone."""
    begun = time.monotonic()
    params = params_of(ComparisonParams, job.step.params)
    cells = CellInput.all_of(job.step.params)
    models = list(dict.fromkeys(cell.model for cell in cells))
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    traits = _traits(cells, models, datasets)
    rankings: dict[str, RankingRecord] = {}
    groups: list[GroupRecord] = []
    for printed in PRINTED:
        context.check()
        by_seed = _scores(cells, models, datasets, printed, context)
        scores = by_seed.mean(axis=0)
        rankings[printed] = _with_spread(ranking_record(scores, models, datasets, params.alpha), by_seed, models)
        groups += group_records(printed, scores, traits, params.seed)
    record = RankingsRecord(
        protocol=job.step.params["protocol"],
        rankings=rankings,
        groups=tuple(groups),
        seeds=len(cells[0].probes),
        **asdict(params),
        versions=versions("numpy", "scipy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    yield ResultReady(job.step.id, "ranking", job.step.key, summary=RANKING.summary(record))


def ranking_record(scores: Floats, models: Sequence[str], datasets: Sequence[str], alpha: float) -> RankingRecord:
    """Return the ranking of the models that have a score on every dataset, of (N, k) scores with NaN for none.

    Where that leaves too few for Friedman's test, `reason` says so and `ranks` is None.
    """
    complete = np.asarray(np.isfinite(scores).all(axis=0))
    ranked = tuple(name for name, whole in zip(models, complete.tolist(), strict=True) if whole)
    record = RankingRecord(
        models=ranked,
        datasets=tuple(datasets),
        left_out=tuple(name for name in models if name not in ranked),
        reason="",
        ranks=None,
    )
    try:
        ranking = rank_models(scores[:, complete], ranked, alpha)
    except MedvlmError as error:
        return replace(record, reason=f"{error.message}: {error.hint}")
    ranks = RanksRecord(
        **asdict(ranking),
        separable=ranking.separable,
        cliques=ranking.cliques,
        pairs=tuple(RankPairRecord(**asdict(pair)) for pair in rank_pairs(ranking)),
    )
    return replace(record, ranks=ranks)


def _traits(cells: Sequence[CellInput], models: Sequence[str], datasets: Sequence[str]) -> list[list[Traits]]:
    found = {(cell.dataset, cell.model): cell.traits for cell in cells}
    return [[found.get((dataset, model), {}) for model in models] for dataset in datasets]


def _scores(
    cells: Sequence[CellInput], models: Sequence[str], datasets: Sequence[str], printed: str, context: StepContext
) -> Floats:
    """Return (S, N, k) means over the folds on each hold-out, NaN where the metric is undefined or no probe is."""
    scores = np.full((len(cells[0].probes), len(datasets), len(models)), np.nan)
    for cell in cells:
        place = datasets.index(cell.dataset), models.index(cell.model)
        for number, key in enumerate(cell.probes):
            mean = _score(cell, key, printed, context)
            scores[(number, *place)] = np.nan if mean is None else mean
    return scores


def _score(cell: CellInput, key: str, printed: str, context: StepContext) -> float | None:
    """Return the printed metric of one probe; None where it is undefined."""
    probe = context.store.read_record(key, PROBE.record)
    if probe is None:
        raise MedvlmError(f"the probe of {cell.model} on {cell.dataset} is missing or damaged", AGAIN)
    known = probe.metrics
    metric = metric_for(cell.dataset, printed)
    found = known.get(metric if metric in known else "macro_f1")
    return None if found is None else found.mean


def _with_spread(record: RankingRecord, by_seed: Floats, models: Sequence[str]) -> RankingRecord:
    """Return the ranking with the lowest and highest mean rank of each model over the hold-outs of (S, N, k) scores."""
    if record.ranks is None or len(by_seed) < 2:
        return record
    columns = [models.index(name) for name in record.ranks.models]
    ranks = np.stack([rankdata(-scores[:, columns], axis=1).mean(axis=0) for scores in by_seed])
    low, high = (tuple(each.tolist()) for each in (ranks.min(axis=0), ranks.max(axis=0)))
    return replace(record, ranks=replace(record.ranks, lowest_ranks=low, highest_ranks=high))
