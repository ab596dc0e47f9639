"""Stored results of comparisons: intervals of one model's scores, pairs of models on a dataset, ranks over datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.stages.params.comparison import ComparisonParams, StatisticsParams


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalsRecord(StatisticsParams):
    """The intervals of one probe's scores over its held-out images; metrics without an interval are left out."""

    intervals: Mapping[str, tuple[float, float]]
    """Metric -> lower and upper end, of the mean over the folds' classifiers."""
    final_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The same of the final classifier's scores; empty where the protocol fits none."""
    n: int = 0
    """Held-out images; 0 in results of release 0.1, which did not count them."""
    groups: int | None = None
    """Groups of the hold-out under `grouped`."""
    resamples: int | None = None
    """Of the bootstrap by which release 0.1 made intervals."""
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> IntervalsRecord:
        """Return a small, complete record."""
        return cls(
            intervals={"accuracy": (0.5, 0.9375), "macro_f1": (0.5, 0.9375)},
            final_intervals={"accuracy": (0.4375, 0.875)},
            n=12,
            groups=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemarRecord:
    """McNemar's test of two final classifiers on the same images."""

    only_first: int
    """Images that only the first has right."""
    only_second: int
    exact: float
    mid_p: float
    holm: float
    """`mid_p` adjusted over all pairs of models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRecord:
    """The first model's score less the second's, and whether that is more than chance."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided, not adjusted."""
    holm: float
    """Adjusted over all pairs of models."""
    smallest_seen: float | None = None
    """The smallest difference that would have been seen in four of five cases; None: none could be."""
    method: str = "bootstrap"
    """Method of the p-value: `exact`, `drawn`, `corrected` (over several hold-outs); `bootstrap` in release
    0.1, which did not record it."""
    resampled_p: float | None = None
    """Of the corrected resampled t test over several hold-outs; None with one."""
    resampled_holm: float | None = None
    """The same, adjusted over all pairs of models: by it two models are told apart over several hold-outs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRecord:
    """Two models on the same images."""

    a: str
    b: str
    mcnemar: McNemarRecord | None
    """None under `few_shot`, which fits no final classifier."""
    differences: Mapping[str, DifferenceRecord]
    """Metric -> a's score less b's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitTestRecord:
    """The permutation test of one trait of models, in which models are exchanged."""

    trait: str
    difference: float
    """Mean of the models with the trait less that of the others."""
    p_value: float
    holm: float
    """Adjusted over the tests of the same family."""
    permutations: int
    exhaustive: bool
    """All divisions of the models were tried."""
    inside: int
    """Models with the trait."""
    outside: int
    datasets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRecord(TraitTestRecord):
    """The test of a trait by a metric of the probe; the family is all traits."""

    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsRecord(ComparisonParams):
    """Every two models of one dataset under one protocol."""

    protocol: str
    models: tuple[str, ...]
    n: int
    """Held-out images that all models share."""
    left_out: int
    """Held-out images of the first model that another could not read, of all hold-outs together."""
    groups_drawn: int | None
    """Groups that were exchanged whole under `grouped`."""
    too_few: bool = False
    """No p-value of any pair could have been below `alpha`: with so few units the tests tell nothing."""
    draws: int = 0
    """Exchanges that are drawn where all are too many; 0 in results of release 0.1."""
    seeds: int = 1
    """Hold-outs; with several, differences are of the means over them and `n` counts different images."""
    pairs: tuple[PairRecord, ...]
    groups: tuple[GroupRecord, ...]
    resamples: int | None = None
    """Of the paired bootstrap by which release 0.1 compared models."""
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def by_exchange(self) -> bool:
        """Return whether today's tests were used, not the bootstrap of release 0.1."""
        return self.draws > 0

    @classmethod
    def example(cls) -> PairsRecord:
        """Return a small, complete record: two models that are told apart by accuracy alone."""
        apart = DifferenceRecord(
            value=0.125, low=0.0625, high=0.25, p_value=0.01, holm=0.01, smallest_seen=0.1, method="exact"
        )
        alike = DifferenceRecord(
            value=0.03125, low=-0.0625, high=0.125, p_value=0.5, holm=0.5, smallest_seen=0.1, method="drawn"
        )
        test = McNemarRecord(only_first=9, only_second=1, exact=0.02, mid_p=0.01, holm=0.01)
        pair = PairRecord(a="one", b="two", mcnemar=test, differences={"accuracy": apart, "macro_f1": alike})
        return cls(
            protocol="paper",
            models=("one", "two"),
            n=72,
            left_out=0,
            groups_drawn=None,
            draws=9_999,
            pairs=(pair,),
            groups=(_example_group("accuracy"),),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPairRecord:
    """Two models, the better one first."""

    first: str
    second: str
    difference: float
    """Of the mean ranks."""
    nemenyi: float
    """p-value over all pairs."""
    holm: float
    """The less conservative p-value, adjusted over all pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RanksRecord:
    """Friedman's test of several models over several datasets, and what it tells apart."""

    models: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    lowest_ranks: tuple[float, ...] = ()
    """Each model's best mean rank on one of several hold-outs; empty with one."""
    highest_ranks: tuple[float, ...] = ()
    datasets: int
    chi2: float
    iman_davenport: float | None = None
    """None where all datasets have one order."""
    p_value: float
    method: str = "chi2"
    critical_difference: float
    alpha: float
    separable: tuple[tuple[str, str], ...]
    """The pairs that Nemenyi's test tells apart, the better model first."""
    cliques: tuple[tuple[str, ...], ...]
    """The largest runs of models, by rank, that are not told apart."""
    pairs: tuple[RankPairRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingRecord:
    """The ranks of the models by one metric."""

    models: tuple[str, ...]
    """Those with a score on every dataset."""
    datasets: tuple[str, ...]
    left_out: tuple[str, ...]
    reason: str
    """Why there are no ranks."""
    ranks: RanksRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingsRecord(ComparisonParams):
    """The models of a run over all its datasets under one protocol."""

    protocol: str
    rankings: Mapping[str, RankingRecord]
    """`accuracy` and `f1`, as the tables print them."""
    groups: tuple[GroupRecord, ...]
    seeds: int = 1
    """Hold-outs; with several, the scores that are ranked are means over them."""
    resamples: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> RankingsRecord:
        """Return a small, complete record: three models that two datasets do not tell apart."""
        names = ("one", "two", "three")
        pairs = tuple(
            RankPairRecord(first=a, second=b, difference=gap, nemenyi=0.75, holm=0.5)
            for a, b, gap in (("one", "two", 0.5), ("one", "three", 1.75), ("two", "three", 1.25))
        )
        ranks = RanksRecord(
            models=names,
            mean_ranks=(1.25, 1.75, 3.0),
            datasets=2,
            chi2=3.25,
            iman_davenport=4.5,
            p_value=0.1875,
            method="exact",
            critical_difference=2.34375,
            alpha=0.05,
            separable=(),
            cliques=(names,),
            pairs=pairs,
        )
        whole = RankingRecord(models=names, datasets=("brain_mr", "phantom"), left_out=(), reason="", ranks=ranks)
        few = RankingRecord(
            models=names[:2],
            datasets=whole.datasets,
            left_out=names[2:],
            reason="2 models cannot be ranked",
            ranks=None,
        )
        return cls(protocol="paper", rankings={"accuracy": whole, "f1": few}, groups=(_example_group("accuracy"),))


def _example_group(metric: str) -> GroupRecord:
    return GroupRecord(
        trait="medical",
        metric=metric,
        difference=0.0625,
        p_value=0.5,
        holm=0.5,
        permutations=2,
        exhaustive=True,
        inside=1,
        outside=1,
        datasets=1,
    )
