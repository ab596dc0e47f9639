"""What a stored comparison of models says of two of them; read by tables and by screens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The pairs of models of one dataset under one protocol."""

    protocol: str
    alpha: float
    n: int
    """Held-out images that all models share."""
    pairs: Mapping[frozenset[str], Mapping[str, Any]]
    """The two models -> the pair's record."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Verdicts:
        """Read the record of a `pairs` result."""
        pairs = {frozenset((str(pair["a"]), str(pair["b"]))): pair for pair in record["pairs"]}
        return cls(str(record["protocol"]), float(record["alpha"]), int(record["n"]), pairs)

    def p_value(self, one: str, other: str, metric: str) -> float | None:
        """Return the p-value, adjusted over all pairs, that two models differ; None for an unknown pair or metric.

        Accuracy is decided by McNemar's test where there are final classifiers, all else by the paired bootstrap.
        """
        pair = self.pairs.get(frozenset((one, other)))
        if pair is None:
            return None
        test = pair["mcnemar"] if metric == "accuracy" else None
        found = test or pair["differences"].get(metric)
        return None if found is None else float(found["holm"])

    def tied(self, one: str, other: str, metric: str) -> bool:
        """Say whether two different models were compared and not told apart."""
        p_value = self.p_value(one, other, metric) if one != other else None
        return p_value is not None and p_value >= self.alpha
