"""The cells that a comparison reads, as they stand in its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medvlm_tui.core.plan import Step
from medvlm_tui.stages.option import Record
from medvlm_tui.stages.stage import Draft, PlannedCell, View

FEWEST = 2
"""A comparison of one model says nothing."""


@dataclass(frozen=True, slots=True)
class CellInput:
    """One cell that a comparison of models reads."""

    model: str
    dataset: str
    table: str
    """Key of the feature table."""
    probe: str
    """Key of the result that is compared: of a probe; in `bias_groups` of a bias lab."""
    traits: Mapping[str, bool | None]
    """Groups of models that this one belongs to on this dataset; None: no part in the comparison."""
    further: tuple[str, ...] = ()
    """Keys of the same probe on the further hold-outs of a run with several, seed after seed."""

    @property
    def probes(self) -> tuple[str, ...]:
        """The key of the probe on every hold-out, the first one first."""
        return self.probe, *self.further

    def to_record(self) -> dict[str, Any]:
        """Return a JSON-able dict, without `further` where there is none: keys stay as they were."""
        record = asdict(self)
        further = list(record.pop("further"))
        return {**record, "further": further} if further else record

    @classmethod
    def all_of(cls, params: Mapping[str, Any]) -> tuple[CellInput, ...]:
        """Return the cells in the parameters of a step."""
        return tuple(cls(**{**cell, "further": tuple(cell.get("further", ()))}) for cell in params["cells"])


def by_protocol(
    view: View, record: type[Record]
) -> Iterator[tuple[str, list[tuple[PlannedCell, Step]], Mapping[str, Any]]]:
    """Yield each protocol with its probes and the parameters of a comparison of them; `record` declares these."""
    params = asdict(view.request.of(record))
    for protocol in view.request.protocols:
        probes = [(cell, step) for cell, step in view.of("probe") if step.params["protocol"] == protocol]
        yield protocol, probes, {**params, "protocol": protocol}


def over_cells(params: Mapping[str, Any], read: Iterable[tuple[PlannedCell, Step]], detail: str = "") -> Draft:
    """Return the draft of a step that compares the results `read` of several cells.

    Where these are probes of a run with several hold-outs, the step reads the further ones too: the probes of all
    cells under the first seed, then those under the next seed, and so on.
    """
    read = tuple(read)
    further = [_further(cell, step) for cell, step in read]
    cells = [
        CellInput(step.model, step.dataset, cell.table, step.key, cell.traits, tuple(again.key for again in more))
        for (cell, step), more in zip(read, further, strict=True)
    ]
    listed = {**params, "cells": [each.to_record() for each in cells]}
    reads = [step for _, step in read] + [again for of_one_seed in zip(*further, strict=True) for again in of_one_seed]
    return Draft(listed, tuple(step.id for step in reads), detail)


def _further(cell: PlannedCell, step: Step) -> list[Step]:
    """Return the steps of the same protocol on the further hold-outs; none of a step that is no probe."""
    if step.kind != "probe":
        return []
    return [again for again in cell.of("repeat") if again.params["protocol"] == step.params["protocol"]]
