"""A score cell: one model on one dataset under one protocol, as the tables take it from its records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.specs import Dataset, ModelSpec
from medvlm_tui.measures import METRICS
from medvlm_tui.stages.records.comparison import IntervalsRecord
from medvlm_tui.stages.records.probe import MetricRecord, Metrics, ProbeRecord

Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a cell; fractions, None where it is not defined."""

    name: str
    mean: float | None
    """Over the folds' hold-out scores."""
    std: float | None
    folds: tuple[float | None, ...]
    validation: tuple[float | None, ...]
    low: float | None = None
    """Lower end of the interval over held-out images, None when the statistics did not run or images are too few."""
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """The method of a cell's intervals."""

    confidence: float
    groups: int | None
    """Under `grouped`: the groups of held-out images that they are over."""
    resamples: int | None = None
    """Of the bootstrap by which release 0.1 made them."""
    seeds: int = 1
    """Hold-outs that they are over; with one, they are over its images."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The tuned grid's choice, by the validation scores."""

    t: float
    macro_f1: float
    """Mean over the folds' validation parts."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The scores of a protocol without a grid of t at one of its settings: a number of neighbours, of shots."""

    setting: str
    """`k` or `shots`."""
    value: int | None
    """None: all training images."""
    n_train: int
    """Training images that took part: the learning curve's axis."""
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class HoldOut:
    """The scores on one of several hold-outs."""

    seed: int
    t: float | None
    metrics: tuple[Metric, ...]
    final: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on one dataset under one protocol: everything about it but the arrays."""

    model: ModelSpec
    dataset: Dataset
    protocol: str
    feature: str
    classes: tuple[str, ...]
    metrics: tuple[Metric, ...]
    n_train: int
    n_test: int
    d: int
    t: float | None
    saturated: bool
    tuned: Tuned | None
    """The choice of the tuned grid, where the paper's has no training error at any t."""
    positive: str
    warnings: tuple[str, ...]
    table_key: str
    probe_key: str
    statistics_key: str = ""
    interval: Interval | None = None
    setting: str = ""
    """`k = 5`, `16 shots`: the reading that `metrics` are of; empty for a protocol with one alone."""
    readings: tuple[Reading, ...] = ()
    final: tuple[Metric, ...] = ()
    """The scores of the final classifier, fitted to all that is not held out; empty where the protocol fits none."""
    separated: bool = False
    """No training error at any t of the grid; `saturated` asks for more."""
    seed: int = 0
    """Of the first hold-out."""
    hold_outs: tuple[HoldOut, ...] = ()
    """Every hold-out, the first one too, where there are several; `metrics` and `final` are then means over them."""
    held_out: tuple[int, ...] = ()
    """Held-out images of each class, on the first hold-out; empty where they were not counted."""
    precision: str = ""
    """In which the features were computed; empty where the table is not there."""

    def metric(self, name: str) -> Metric | None:
        """Return the metric of this name, None where the cell has none or it is undefined."""
        found = next((metric for metric in self.metrics if metric.name == name), None)
        return None if found is None or found.mean is None else found

    @property
    def n(self) -> int:
        """Images with features: what the published n is compared with."""
        return self.n_train + self.n_test


def by_task(cells: Iterable[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """Return (dataset, protocol) -> its cells, whose models can be compared, all in the order of `cells`."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.dataset.spec.id, cell.protocol), []).append(cell)
    return found


def held_out_counts(arrays: Mapping[str, NDArray[Any]], k: int) -> tuple[int, ...]:
    """Return how many held-out images each of the k classes has, by a probe's arrays; empty where these lack them."""
    if "labels" not in arrays or "hold_out" not in arrays:
        return ()
    return tuple(np.bincount(arrays["labels"][arrays["hold_out"]], minlength=k).tolist())


def _metrics(values: Metrics, bounds: Bounds) -> tuple[Metric, ...]:
    return tuple(_metric(name, values[name], bounds.get(name)) for name in sorted(values, key=_metric_order))


def _setting(record: ProbeRecord) -> str:
    if record.k is not None:
        return f"k = {record.k}"
    return "" if record.shots is None else f"{record.shots} shots"


def cell_of(
    model: ModelSpec,
    dataset: Dataset,
    table: tuple[str, str],
    probe: tuple[str, ProbeRecord],
    statistics: tuple[str, IntervalsRecord | None],
) -> Cell:
    """Return a cell from its records: `table` (feature, key), `probe` and `statistics` (key, record), None where
    there is none."""
    (feature, table_key), (probe_key, record), (statistics_key, intervals) = table, probe, statistics
    bounds = {} if intervals is None else intervals.intervals
    return Cell(
        model=model,
        dataset=dataset,
        protocol=record.protocol,
        feature=feature,
        classes=record.classes,
        metrics=_metrics(record.metrics, bounds),
        n_train=record.n_train,
        n_test=record.n_test,
        d=record.d,
        t=record.t,
        saturated=record.saturated,
        tuned=None if record.tuned is None else Tuned(record.tuned.t, record.tuned.validation_macro_f1),
        positive=record.positive,
        warnings=record.warnings,
        table_key=table_key,
        probe_key=probe_key,
        statistics_key=statistics_key,
        interval=_interval(intervals),
        setting=_setting(record),
        readings=tuple(
            Reading(one.setting, one.value, one.n_train, _metrics(one.metrics, {})) for one in record.readings
        ),
        final=_final(record.final_metrics, {} if intervals is None else intervals.final_intervals),
        separated=record.without_training_error,
        seed=record.seed,
    )


def hold_out_of(record: ProbeRecord) -> HoldOut:
    """Return the scores of a probe's record under a further seed."""
    return HoldOut(record.seed, record.t, _metrics(record.metrics, {}), _final(record.final_metrics, {}))


def _final(values: Mapping[str, float | None], bounds: Bounds) -> tuple[Metric, ...]:
    """Return the scores of one classifier: there is no spread over folds."""
    return _metrics({name: MetricRecord(mean=value, std=None, folds=()) for name, value in values.items()}, bounds)


def _metric(name: str, found: MetricRecord, bounds: tuple[float, float] | None) -> Metric:
    low, high = bounds or (None, None)
    return Metric(
        name=name,
        mean=found.mean,
        std=found.std,
        folds=found.folds,
        validation=found.validation,
        low=low,
        high=high,
    )


def _metric_order(name: str) -> tuple[int, str]:
    """Sort the known metrics as METRICS lists them, the others behind them by name."""
    return (METRICS.index(name) if name in METRICS else len(METRICS), name)


def _interval(record: IntervalsRecord | None) -> Interval | None:
    return None if record is None else Interval(record.confidence, record.groups, record.resamples)
