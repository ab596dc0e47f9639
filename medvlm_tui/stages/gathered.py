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

    @classmethod
    def all_of(cls, params: Mapping[str, Any]) -> tuple[CellInput, ...]:
        """Return the cells in the parameters of a step."""
        return tuple(cls(**cell) for cell in params["cells"])


def by_protocol(
    view: View, record: type[Record]
) -> Iterator[tuple[str, list[tuple[PlannedCell, Step]], Mapping[str, Any]]]:
    """Yield each protocol with its probes and the parameters of a comparison of them; `record` declares these."""
    params = asdict(view.request.of(record))
    for protocol in view.request.protocols:
        probes = [(cell, step) for cell, step in view.of("probe") if step.params["protocol"] == protocol]
        yield protocol, probes, {**params, "protocol": protocol}


def over_cells(params: Mapping[str, Any], read: Iterable[tuple[PlannedCell, Step]], detail: str = "") -> Draft:
    """Return the draft of a step that compares the results `read` of several cells."""
    read = tuple(read)
    cells = [CellInput(step.model, step.dataset, cell.table, step.key, cell.traits) for cell, step in read]
    listed = {**params, "cells": [asdict(each) for each in cells]}
    return Draft(listed, tuple(step.id for _, step in read), detail)
