"""The material of a report: the run's plan and store, gathered into one typed record per cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.specs import Dataset, ModelSpec, Sample
from medvlm_tui.core.store.store import Store, Stored
from medvlm_tui.report.results.cells import Cell, HoldOut, by_task, cell_of, held_out_counts, hold_out_of
from medvlm_tui.report.results.hold_outs import over_hold_outs, repeated_verdicts
from medvlm_tui.report.scores.verdicts import Verdicts
from medvlm_tui.stages.comparison import PAIRS, RANKING, STATISTICS
from medvlm_tui.stages.extract import EXTRACT
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.projection import PROJECT
from medvlm_tui.stages.records.comparison import IntervalsRecord, PairsRecord, RankingsRecord
from medvlm_tui.stages.records.extract import ExtractRecord
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.records.projection import MapRecord
from medvlm_tui.stages.records.saliency import ExplainedImage, QualityRecord, SaliencyRecord
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.stages.repeat import REPEAT
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.saliency import SALIENCY
from medvlm_tui.stages.stage import Stage
from medvlm_tui.stages.verdict import VERDICT

C = TypeVar("C", PairsRecord, RankingsRecord, VerdictRecord)
R = TypeVar("R")
T = TypeVar("T")

# What a map's bits depend on beside the image and the class.
MAP_PARAMETERS = (
    "masks", "cells", "probability", "seed", "baseline", "estimator", "encoder", "probe", "device", "batch_size",
    "threads", "versions", "explained", "curve_points",
)  # fmt: skip


ReadPictures = Callable[[Sequence[Sample], int], Iterable[NDArray[np.uint8] | None]]
"""(images, longer side in pixels) -> each image (H, W, 3) in order, None for one that cannot be read."""


def no_pictures(samples: Sequence[Sample], side_px: int) -> Iterator[NDArray[np.uint8] | None]:
    """Yield no picture: nobody reads files for this report."""
    yield from (None for _ in samples)


@dataclass(frozen=True, slots=True)
class ReportInput:
    """Everything a report may use: what was asked, what was planned, what the store has, what went wrong."""

    run_id: str
    plan: Plan
    request: RunRequest
    models: Mapping[str, ModelSpec]
    datasets: Mapping[str, Dataset]
    store: Store
    failures: tuple[tuple[str, str, str], ...] = ()
    """(step id, error, hint)."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Step id -> seconds."""
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    read_pictures: ReadPictures = no_pictures

    def stored(self, stage: Stage[R]) -> Iterator[tuple[Step, Stored[R]]]:
        """Yield the steps of a stage that have a result, on models and datasets of the report."""
        for step in self._steps(stage):
            found = self.store.read(step.key, stage.record)
            if found is not None:
                yield step, found

    def records(self, stage: Stage[R]) -> Iterator[tuple[Step, R]]:
        """Yield the same steps with the records of their results alone."""
        for step in self._steps(stage):
            record = self.store.read_record(step.key, stage.record)
            if record is not None:
                yield step, record

    def _steps(self, stage: Stage[R]) -> Iterator[Step]:
        models, datasets = {"", *self.models}, {"", *self.datasets}
        for step in self.plan.steps:
            if step.kind == stage.kind and step.key and step.model in models and step.dataset in datasets:
                yield step


@dataclass(frozen=True, slots=True)
class Compared(Generic[C]):
    """A stored comparison of models under one protocol: on one dataset (pairs), or over all (ranking)."""

    protocol: str
    dataset: str
    """Id; empty for all."""
    view: str
    key: str
    record: C


@dataclass(frozen=True, slots=True)
class Map:
    """One UMAP cell of one model on one dataset."""

    model: ModelSpec
    dataset: Dataset
    feature: str
    key: str
    table_key: str
    n_neighbors: int
    min_dist: float
    seed: int
    n: int
    subsampled: bool
    scores: Mapping[str, float | None]
    note: str


@dataclass(frozen=True, slots=True)
class Explained:
    """The saliency maps of one model on one dataset: where they lie and how they were made."""

    model: ModelSpec
    dataset: Dataset
    key: str
    items: tuple[ExplainedImage, ...]
    parameters: Mapping[str, Any]
    """masks, cells, probability, seed, baseline, estimator, ...: as they go into the PNG's text chunks."""
    quality: Mapping[str, QualityRecord] = field(default_factory=dict)
    """Measure -> its mean over the images."""


class Gathered:
    """Typed views of a run's results, in the plan's order; a step without a result is left out."""

    def __init__(self, source: ReportInput) -> None:
        self.source = source
        self.made: dict[Callable[..., Any], Any] = {}
        """The values that `made_once` keeps, by the function that made them."""

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """One for each probe that has a result; over all hold-outs where the run had several."""
        statistics = {
            (step.model, step.dataset, str(step.params.get("protocol", "paper"))): (step.key, record)
            for step, record in self.source.records(STATISTICS)
        }
        further: dict[tuple[str, str, str], list[HoldOut]] = {}
        for step, record in self.source.records(REPEAT):
            further.setdefault((step.model, step.dataset, record.protocol), []).append(hold_out_of(record))
        cells = []
        for step, probe in self.source.stored(PROBE):
            name = (step.model, step.dataset, probe.record.protocol)
            cell = self._cell(step, probe, *statistics.get(name, ("", None)))
            cells.append(over_hold_outs(cell, further.get(name, ())))
        return tuple(cells)

    @cached_property
    def pairs(self) -> tuple[Compared[PairsRecord], ...]:
        """One a dataset and protocol with several models."""
        return self._compared(PAIRS)

    @cached_property
    def rankings(self) -> tuple[Compared[RankingsRecord], ...]:
        """One a protocol with several models and datasets."""
        return self._compared(RANKING)

    @cached_property
    def confidence_sets(self) -> tuple[Compared[VerdictRecord], ...]:
        """One for each dataset and protocol whose models were judged, on datasets of the report."""
        return self._compared(VERDICT)

    @cached_property
    def verdicts(self) -> Mapping[tuple[str, str], Verdicts]:
        """(dataset, protocol) -> what its pairs of models say, over all hold-outs where there are several."""
        found = {(pair.dataset, pair.protocol): Verdicts.of(pair.record) for pair in self.pairs}
        for task, here in by_task(self.cells).items():
            over = repeated_verdicts(here)
            if over is not None:
                found[task] = over
        return found

    @cached_property
    def maps(self) -> tuple[Map, ...]:
        """One a UMAP cell that has a result."""
        return tuple(self._map(step, record) for step, record in self.source.records(PROJECT))

    @cached_property
    def explained(self) -> tuple[Explained, ...]:
        """One a saliency step that has a result."""
        return tuple(self._explained(step, record) for step, record in self.source.records(SALIENCY))

    @cached_property
    def tables(self) -> tuple[tuple[Step, ExtractRecord], ...]:
        """The extraction steps with the manifests of their sealed tables."""
        found = []
        for step in self.source.plan.steps:
            wanted = step.kind == EXTRACT.kind and step.key
            manifest = self.source.store.tables.read_record(step.key, EXTRACT.record) if wanted else None
            if manifest is not None:
                found.append((step, manifest))
        return tuple(found)

    def _compared(self, stage: Stage[C]) -> tuple[Compared[C], ...]:
        found = []
        for step, record in self.source.records(stage):
            view = self.source.datasets[step.dataset].view if step.dataset else ""
            found.append(Compared(record.protocol, step.dataset, view, step.key, record))
        return tuple(found)

    @cached_property
    def features(self) -> Mapping[tuple[str, str], tuple[str, str]]:
        """(model, dataset) -> (key, feature name) of the sealed table."""
        return {(s.model, s.dataset): (s.key, table.encoder.feature) for s, table in self.tables}

    @cached_property
    def _precisions(self) -> Mapping[tuple[str, str], str]:
        return {(s.model, s.dataset): table.encoder.precision for s, table in self.tables}

    def _cell(
        self, step: Step, probe: Stored[ProbeRecord], statistics_key: str, statistics: IntervalsRecord | None
    ) -> Cell:
        table_key, feature = self.features.get((step.model, step.dataset), ("", ""))
        model, dataset = self.source.models[step.model], self.source.datasets[step.dataset]
        cell = cell_of(model, dataset, (feature, table_key), (step.key, probe.record), (statistics_key, statistics))
        counts = held_out_counts(probe.arrays, len(cell.classes))
        return replace(cell, held_out=counts, precision=self._precisions.get((step.model, step.dataset), ""))

    def _map(self, step: Step, record: MapRecord) -> Map:
        table_key, feature = self.features.get((step.model, step.dataset), ("", ""))
        return Map(
            model=self.source.models[step.model],
            dataset=self.source.datasets[step.dataset],
            feature=feature,
            key=step.key,
            table_key=table_key,
            n_neighbors=record.n_neighbors,
            min_dist=record.min_dist,
            seed=record.seed,
            n=record.n,
            subsampled=record.subsampled,
            scores=record.scores,
            note=record.note,
        )

    def _explained(self, step: Step, record: SaliencyRecord) -> Explained:
        return explained_of(self.source.models[step.model], self.source.datasets[step.dataset], step.key, record)


def made_once(make: Callable[[Gathered], T]) -> Callable[[Gathered], T]:
    """Return `make`, whose value is kept with the results: several parts of a report show one table."""

    @wraps(make)
    def kept(results: Gathered) -> T:
        if make not in results.made:
            results.made[make] = make(results)
        found: T = results.made[make]
        return found

    return kept


def explained_of(model: ModelSpec, dataset: Dataset, key: str, record: SaliencyRecord) -> Explained:
    """Return a stored saliency record as a report takes it."""
    return Explained(
        model=model,
        dataset=dataset,
        key=key,
        items=record.items,
        parameters={name: getattr(record, name) for name in MAP_PARAMETERS},
        quality=record.quality,
    )
