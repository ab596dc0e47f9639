"""Stored comparisons of models, made from the examples of their records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medvlm_tui.stages.records.comparison import (
    DifferenceRecord,
    PairRecord,
    PairsRecord,
    RankingRecord,
    RankingsRecord,
    RankPairRecord,
)

_PAIR = PairsRecord.example().pairs[0]


def pair(a: str, b: str, holm: Mapping[str, float], smallest_seen: float | None = 0.05) -> PairRecord:
    """Return two models whose p-values are these by metric; McNemar's is one less accuracy's."""
    assert _PAIR.mcnemar is not None
    differences = {name: replace(difference(p), smallest_seen=smallest_seen) for name, p in holm.items()}
    return replace(_PAIR, a=a, b=b, mcnemar=replace(_PAIR.mcnemar, holm=1 - holm["accuracy"]), differences=differences)


def difference(p: float, method: str = "exact") -> DifferenceRecord:
    """Return a difference with this adjusted p-value."""
    return DifferenceRecord(
        value=0.125, low=-0.0625, high=0.25, p_value=p / 2, holm=p, smallest_seen=0.1875, method=method
    )


def pairs_record(*pairs: PairRecord, n: int = 12, too_few: bool = False) -> PairsRecord:
    """Return a comparison that consists of these pairs."""
    models = tuple(dict.fromkeys(name for one in pairs for name in (one.a, one.b)))
    return replace(PairsRecord.example(), models=models, n=n, too_few=too_few, pairs=pairs, groups=())


def rankings_record(names: tuple[str, ...], datasets: tuple[str, ...], ranks: tuple[float, ...]) -> RankingsRecord:
    """Return models with these mean ranks by accuracy, none of which is told apart; without ranks by F1."""
    example = RankingsRecord.example()
    made = example.rankings["accuracy"].ranks
    assert made is not None
    pairs = tuple(
        RankPairRecord(first=a, second=b, difference=0.5, nemenyi=0.75, holm=0.5)
        for number, a in enumerate(names)
        for b in names[number + 1 :]
    )
    made = replace(made, models=names, mean_ranks=ranks, datasets=len(datasets), cliques=(names,), pairs=pairs)
    whole = RankingRecord(models=names, datasets=datasets, left_out=(), reason="", ranks=made)
    few = replace(whole, models=names[:2], left_out=names[2:], reason="2 models cannot be ranked", ranks=None)
    return replace(example, rankings={"accuracy": whole, "f1": few}, groups=())
