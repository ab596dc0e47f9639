"""The plan of a run: its steps in their order, and which results the store already has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work with one result."""

    id: str
    """`kind:model:dataset[:detail]`, unique in the plan."""
    kind: str
    model: str = ""
    dataset: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    """Key of the result in the store: the digest of everything it depends on."""
    needs: tuple[str, ...] = ()
    """Ids of the steps whose results it reads."""
    have: bool = False
    """The store already holds the result."""
    images: int = 0
    """Cost hint: images to encode."""
    blocked: str = ""
    """Why it cannot run, with the hint after a line break; empty when it can."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered steps; a step stands after those it needs."""

    run_id: str
    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Plan:
        """Rebuild from `to_record()`'s dict after a trip through JSON."""
        steps = tuple(Step(**{**step, "needs": tuple(step["needs"])}) for step in record["steps"])
        return cls(str(record["run_id"]), steps, tuple(record["warnings"]))
