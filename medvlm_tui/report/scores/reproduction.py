"""A published cell beside ours: both scores, the difference with its interval, and what may be different."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from medvlm_tui.catalog.published import PAPER, metric_for, published
from medvlm_tui.core.specs import DatasetSpec, ModelSpec
from medvlm_tui.errors import UsageError
from medvlm_tui.report.results.cells import Cell, Metric
from medvlm_tui.report.scores.published_difference import printed_classes

PRINTED = ("accuracy", "f1")
STUDY_HOLD_OUT = 0.2
"""Share of the images that the study held out."""


@dataclass(frozen=True, slots=True)
class Beside:
    """One printed score beside ours, in fractions."""

    metric: str
    """Our name: accuracy, macro_f1, f1_positive."""
    ours: float
    ours_std: float | None
    low: float | None
    """The interval of ours over held-out images; None below five of them."""
    high: float | None
    published: float
    published_std: float
    difference: float
    """Ours less the published one."""
    difference_low: float | None
    """The interval of the difference of two independent hold-outs; None where ours has none."""
    difference_high: float | None

    @property
    def within(self) -> bool | None:
        """Return whether the interval of the difference has zero in it; None without an interval."""
        if self.difference_low is None or self.difference_high is None:
            return None
        return self.difference_low <= 0 <= self.difference_high


@dataclass(frozen=True, slots=True)
class Reproduction:
    """The printed scores of one model on one dataset beside ours."""

    model: str
    dataset: str
    source: str
    protocol: str
    scores: tuple[Beside, ...]
    may_differ: tuple[str, ...]

    @property
    def reproduced(self) -> bool:
        """Return whether every score has an interval of the difference, and zero is in each."""
        return all(each.within for each in self.scores)


def refuse_unpublished(model: ModelSpec, dataset: DatasetSpec, source: str) -> None:
    """Raise UsageError where the source prints no score of a model on a dataset that is to be trusted."""
    wanted = [metric_for(dataset.id, metric) for metric in PRINTED]
    if not model.published or not any(published(dataset.id, model.published, metric, source) for metric in wanted):
        raise UsageError(
            f"{source} prints no score of {model.id} on {dataset.id}",
            "`medvlm-tui audit` tests the scores that it prints",
        )


def reproduction(cell: Cell, source: str = PAPER) -> Reproduction:
    """Return the printed scores of a cell beside ours; raises UsageError where there is none."""
    spec = cell.dataset.spec
    refuse_unpublished(cell.model, spec, source)
    found = []
    for printed in PRINTED:
        metric = cell.metric(metric_for(spec.id, printed))
        score = published(spec.id, cell.model.published, metric_for(spec.id, printed), source)
        if metric is not None and score is not None:
            found.append(_beside(metric, score.mean, score.std, _share(cell)))
    return Reproduction(cell.model.id, spec.id, source, cell.protocol, tuple(found), tuple(may_differ(cell)))


def _beside(metric: Metric, mean: float, std: float, share: float) -> Beside:
    assert metric.mean is not None
    difference, low, high = metric.mean - mean, None, None
    if metric.low is not None and metric.high is not None:
        low, high = difference_interval(metric.mean, (metric.low, metric.high), difference, share)
    return Beside(metric.name, metric.mean, metric.std, metric.low, metric.high, mean, std, difference, low, high)


def difference_interval(
    mean: float, interval: tuple[float, float], difference: float, share: float
) -> tuple[float, float]:
    """Return the interval of the difference of a score and a printed one, each on a hold-out of its own.

    Of the printed score only the mean is known: its interval is taken to be ours, narrower or wider by the number of
    held-out images; `share` is ours over theirs. The two are joined as in Newcombe (1998), method 10.
    """
    below, above = mean - interval[0], interval[1] - mean
    return (
        difference - math.sqrt(below**2 + share * above**2),
        difference + math.sqrt(above**2 + share * below**2),
    )


def _share(cell: Cell) -> float:
    """Return our held-out images over those of the study; 1 where the study does not say how many images it had."""
    n = cell.dataset.spec.published_n
    return cell.n_test / (STUDY_HOLD_OUT * n) if n else 1.0


def may_differ(cell: Cell) -> Iterator[str]:
    """Yield, a sentence each, what is known to be different from the study, then what the study leaves open."""
    spec = cell.dataset.spec
    if spec.published_n != cell.n:
        theirs = f"the study had {spec.published_n:,}" if spec.published_n else "the study does not say how many it had"
        yield f"images: {cell.n:,} here, {theirs}"
    if printed_classes(spec) != len(cell.classes):
        yield f"classes: {len(cell.classes)} here, the study prints {printed_classes(spec)}"
    yield from (f"dataset: {warning}" for warning in cell.dataset.warnings)
    if cell.precision not in ("", "fp32"):
        yield f"precision: features in {cell.precision} here; the study names none"
    if cell.model.assumption:
        yield f"model: {cell.model.assumption}"
    yield f"feature: {cell.feature} ({cell.d} dimensions) here; the study does not name the layer"
    yield (
        f"split: {cell.n_test} images held out by seed {cell.seed}, stratified by class; the study gives neither its "
        "seed nor its hold-out"
    )
    yield "preprocessing: that of the model's authors here; the study does not describe its own"
    yield (
        "solver: the SVM's optimum here; scikit-learn's LinearSVC with its defaults stops before it on such features "
        "(docs/solver.md)"
    )
    yield "print: the paper rounds to whole percent, and prints one spread for accuracy and F1"
