"""statistics.csv: every interval, pair of models, rank and group of models, one row each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medvlm_tui.report.formats.csv_file import Value, write_csv
from medvlm_tui.report.results.run_results import Cell, Compared, Gathered

Row = Sequence[Value]
STATISTICS = (
    "statistic", "model", "other", "dataset", "label_view", "protocol", "metric", "value", "ci_low", "ci_high",
    "p_value", "p_adjusted", "n", "resamples", "confidence", "seed",
)  # fmt: skip


def write_statistics(path: Path, gathered: Gathered) -> None:
    """Write statistics.csv.

    `value` is the score (bootstrap_interval), the first model's score less the other's (paired_bootstrap), the images
    only the first has right less those only the other has (mcnemar), the statistic (friedman, critical_difference),
    a mean rank or a difference of two (mean_rank, nemenyi, holm_ranks), or how much higher the models with the trait
    score (group_permutation). `n` counts images, data sets or, for groups, the models inside. `p_adjusted` is Holm's
    over the family: all pairs of models, or all traits.
    """
    write_csv(path, STATISTICS, rows(gathered))


def rows(gathered: Gathered) -> Iterator[Row]:
    """Yield the rows: cells, then pairs of models a dataset, then ranks over the datasets."""
    for cell in gathered.cells:
        yield from _intervals(cell)
    for compared in gathered.pairs:
        for pair in compared.record["pairs"]:
            yield from _pair(compared, pair)
        yield from _groups(compared)
    for compared in gathered.rankings:
        for metric, ranking in compared.record["rankings"].items():
            if ranking["ranks"] is not None:
                yield from _ranks(compared, metric, ranking["ranks"])
        yield from _groups(compared)


def _intervals(cell: Cell) -> Iterator[Row]:
    made = cell.interval
    for metric in cell.metrics:
        if made is not None and metric.mean is not None and metric.low is not None:
            yield (
                "bootstrap_interval", cell.model.id, "", cell.dataset.spec.id, cell.dataset.view, cell.protocol,
                metric.name, metric.mean, metric.low, metric.high, None, None, cell.n_test, made.resamples,
                made.confidence, made.seed,
            )  # fmt: skip


def _pair(compared: Compared, pair: Mapping[str, Any]) -> Iterator[Row]:
    record, test = compared.record, pair["mcnemar"]
    ids = (pair["a"], pair["b"], compared.dataset, compared.view, compared.protocol)
    if test is not None:
        gain = test["only_first"] - test["only_second"]
        yield (
            "mcnemar", *ids, "accuracy", gain, None, None, test["mid_p"], test["holm"], record["n"], None, None, None,
        )  # fmt: skip
    made = (record["resamples"], record["confidence"], record["seed"])
    for metric, found in pair["differences"].items():
        yield (
            "paired_bootstrap", *ids, metric, found["value"], found["low"], found["high"], found["p_value"],
            found["holm"], record["n"], *made,
        )  # fmt: skip


def _groups(compared: Compared) -> Iterator[Row]:
    for group in compared.record["groups"]:
        n = group["inside"]
        yield (
            "group_permutation", group["trait"], f"not {group['trait']}", compared.dataset, compared.view,
            compared.protocol, group["metric"], group["difference"], None, None, group["p_value"], group["holm"], n,
            group["permutations"], None, None if group["exhaustive"] else compared.record["seed"],
        )  # fmt: skip


def _ranks(compared: Compared, metric: str, ranks: Mapping[str, Any]) -> Iterator[Row]:
    def row(statistic: str, model: str, other: str, value: float, p: float | None, adjusted: float | None) -> Row:
        ids = (statistic, model, other, compared.dataset, compared.view, compared.protocol, metric)
        return (*ids, value, None, None, p, adjusted, ranks["datasets"], None, None, None)

    yield row("friedman", "", "", ranks["chi2"], ranks["p_value"], None)
    yield row("critical_difference", "", "", ranks["critical_difference"], ranks["alpha"], None)
    for model, rank in zip(ranks["models"], ranks["mean_ranks"], strict=True):
        yield row("mean_rank", model, "", rank, None, None)
    for pair in ranks["pairs"]:
        # Nemenyi's p-value is one over all pairs already.
        yield row("nemenyi", pair["first"], pair["second"], pair["difference"], None, pair["nemenyi"])
        yield row("holm_ranks", pair["first"], pair["second"], pair["difference"], None, pair["holm"])
