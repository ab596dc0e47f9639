"""statistics.csv: every interval, pair of models, rank and group of models, one row each."""

from __future__ import annotations

from collections.abc import Iterator

from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.cells import Cell, by_task
from medvlm_tui.report.results.hold_outs import CONFIDENCE, rank_rows
from medvlm_tui.report.results.run_results import Compared, Gathered, made_once
from medvlm_tui.stages.records.comparison import PairRecord, PairsRecord, RankingsRecord, RanksRecord

STATISTICS = (
    *texts("statistic", "model", "other", "dataset", "label_view", "protocol", "metric"),
    *numbers("value", "ci_low", "ci_high", "p_value", "p_adjusted", "n", "resamples", "confidence", "seed", "groups"),
    *numbers("smallest_difference"), *texts("method"),
)  # fmt: skip


@made_once
def statistics(gathered: Gathered) -> Table:
    """Return statistics.csv.

    `value` is the score (score_interval), the first model's score less the other's (paired_exchange), the images
    only the first has right less those only the other has (mcnemar), the statistic (friedman: chi2; iman_davenport: F;
    critical_difference), a mean rank or a difference of two (mean_rank, nemenyi, holm_ranks), or how much higher the
    models with the trait score (group_permutation). Over several hold-outs (`resamples` counts them): the mean score
    (resampled_interval), the mean difference (resampled_t; with the p-value of exchanges: paired_exchange), the mean
    rank on a dataset, or over all, with the lowest and highest one of a single hold-out (rank_over_hold_outs); friedman
    and what follows from it rank the mean scores, mcnemar is of the first hold-out. `n` counts images (different ones
    of all hold-outs for paired_exchange), data sets or, for groups, the models inside.
    `p_adjusted` is Holm's over the family: all pairs of models, or all traits. `resamples` counts exchanges that were
    drawn, `groups` the groups of images under `grouped`; `smallest_difference` would have been seen in four of five
    cases, and is empty where the images are too few for any; `method` is how the p-value was computed.
    """
    return Table("statistics", STATISTICS, tuple(rows(gathered)), "Intervals, pairs of models, ranks, groups")


def rows(gathered: Gathered) -> Iterator[Row]:
    """Yield the rows: cells, then pairs of models of each dataset, then ranks over the datasets."""
    for cell in gathered.cells:
        yield from _intervals(cell)
    yield from _over_hold_outs(gathered)
    for compared in gathered.pairs:
        for pair in compared.record.pairs:
            yield from _pair(compared, pair, _held_out(gathered, compared))
        yield from _groups(compared)
    for over_all in gathered.rankings:
        for metric, ranking in over_all.record.rankings.items():
            if ranking.ranks is not None:
                yield from _ranks(over_all, metric, ranking.ranks)
        yield from _groups(over_all)


def _intervals(cell: Cell) -> Iterator[Row]:
    made = cell.interval
    if made is None:
        return
    statistic = "bootstrap_interval" if made.resamples else "score_interval"
    resamples = made.resamples
    if made.seeds > 1:
        statistic, resamples = "resampled_interval", made.seeds
    ids = (cell.model.id, "", cell.dataset.spec.id, cell.dataset.view, cell.protocol)
    for metric in cell.metrics:
        if metric.mean is not None and metric.low is not None:
            yield (
                statistic, *ids, metric.name, metric.mean, metric.low, metric.high, None, None, cell.n_test,
                resamples, made.confidence, None, made.groups, None, None,
            )  # fmt: skip


def _held_out(gathered: Gathered, compared: Compared[PairsRecord]) -> int:
    """Return the images of the first hold-out."""
    if compared.record.seeds == 1:
        return compared.record.n
    return by_task(gathered.cells)[compared.dataset, compared.protocol][0].n_test


def _pair(compared: Compared[PairsRecord], pair: PairRecord, held_out: int) -> Iterator[Row]:
    record, test = compared.record, pair.mcnemar
    ids = (pair.a, pair.b, compared.dataset, compared.view, compared.protocol)
    if test is not None:
        gain = test.only_first - test.only_second
        yield (
            "mcnemar", *ids, "accuracy", gain, None, None, test.mid_p, test.holm, held_out, None, None, None,
            None, None, "mid-p",
        )  # fmt: skip
    if not record.by_exchange:
        yield from _earlier_pair(record, ids, pair)
        return
    for metric, found in pair.differences.items():
        drawn = (record.draws, record.seed) if found.method == "drawn" else (None, None)
        yield (
            "paired_exchange", *ids, metric, found.value, found.low, found.high, found.p_value,
            found.holm, record.n, drawn[0], record.confidence, drawn[1], record.groups_drawn,
            found.smallest_seen, found.method,
        )  # fmt: skip


def _over_hold_outs(gathered: Gathered) -> Iterator[Row]:
    """Yield the comparisons over several hold-outs: corrected resampled t tests of pairs, ranks with their spread."""
    tasks = by_task(gathered.cells)
    for (dataset, protocol), verdict in gathered.verdicts.items():
        if verdict.seeds < 2:
            continue
        here = tasks[dataset, protocol]
        ids, n = (dataset, here[0].dataset.view, protocol), verdict.n
        for pair in verdict.pairs.values():
            for metric, found in pair.differences.items():
                yield (
                    "resampled_t", pair.a, pair.b, *ids, metric, found.value, found.low, found.high,
                    found.p_value, found.holm, n, verdict.seeds, CONFIDENCE, None, None, found.smallest_seen,
                    "corrected",
                )  # fmt: skip
        for cell, mean, low, high in rank_rows(here):
            yield (
                "rank_over_hold_outs", cell.model.id, "", *ids, "accuracy", mean, low, high, None, None, n,
                verdict.seeds, None, None, None, None, None,
            )  # fmt: skip


def _earlier_pair(record: PairsRecord, ids: tuple[str, ...], pair: PairRecord) -> Iterator[Row]:
    """Yield the rows of a comparison that release 0.1 stored, by the paired bootstrap."""
    for metric, found in pair.differences.items():
        yield (
            "paired_bootstrap", *ids, metric, found.value, found.low, found.high, found.p_value,
            found.holm, record.n, record.resamples, record.confidence, record.seed, None, None,
            "bootstrap",
        )  # fmt: skip


def _groups(compared: Compared[PairsRecord] | Compared[RankingsRecord]) -> Iterator[Row]:
    for group in compared.record.groups:
        n = group.inside
        yield (
            "group_permutation", group.trait, f"not {group.trait}", compared.dataset, compared.view,
            compared.protocol, group.metric, group.difference, None, None, group.p_value, group.holm, n,
            group.permutations, None, None if group.exhaustive else compared.record.seed, None, None,
            "exact" if group.exhaustive else "drawn",
        )  # fmt: skip


def _ranks(compared: Compared[RankingsRecord], metric: str, ranks: RanksRecord) -> Iterator[Row]:
    def row(
        statistic: str, model: str, other: str, value: float, p: float | None, adjusted: float | None, method: str = ""
    ) -> Row:
        ids = (statistic, model, other, compared.dataset, compared.view, compared.protocol, metric)
        none = (None, None, None)
        return (*ids, value, None, None, p, adjusted, ranks.datasets, *none, None, None, method or None)

    yield row("friedman", "", "", ranks.chi2, ranks.p_value, None, ranks.method)
    if ranks.iman_davenport is not None:
        yield row("iman_davenport", "", "", ranks.iman_davenport, None, None)
    yield row("critical_difference", "", "", ranks.critical_difference, ranks.alpha, None)
    for model, rank in zip(ranks.models, ranks.mean_ranks, strict=True):
        yield row("mean_rank", model, "", rank, None, None)
    spread = zip(ranks.models, ranks.mean_ranks, ranks.lowest_ranks, ranks.highest_ranks, strict=False)
    for model, rank, low, high in spread:
        ids = ("rank_over_hold_outs", model, "", compared.dataset, compared.view, compared.protocol, metric)
        more = (compared.record.seeds, None, None, None, None, None)
        yield (*ids, rank, low, high, None, None, ranks.datasets, *more)
    for pair in ranks.pairs:
        # Nemenyi's p-value is one over all pairs already.
        yield row("nemenyi", pair.first, pair.second, pair.difference, None, pair.nemenyi)
        yield row("holm_ranks", pair.first, pair.second, pair.difference, None, pair.holm)
