"""The results of a stored comparison of models for two of them; read by tables and by screens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medvlm_tui.stages.records.comparison import DifferenceRecord, PairRecord, PairsRecord


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The pairs of models of one dataset under one protocol."""

    protocol: str
    alpha: float
    n: int
    """Held-out images that all models share."""
    units: int
    """Units exchanged between two models: the images, or groups of them under `grouped`."""
    too_few: bool
    """No p-value of any pair could have been below `alpha`: with so few units the tests tell nothing."""
    pairs: Mapping[frozenset[str], PairRecord]
    """The two models -> the pair's record."""
    seeds: int = 1
    """Hold-outs over which the models were compared; with one, they were compared over its images."""

    @classmethod
    def of(cls, record: PairsRecord) -> Verdicts:
        """Read the record of a `pairs` result; one of an earlier release, by other tests, says nothing of any pair."""
        known = record.pairs if record.by_exchange else ()
        pairs = {frozenset((pair.a, pair.b)): pair for pair in known}
        units = record.groups_drawn or record.n
        return cls(record.protocol, record.alpha, record.n, units, record.too_few, pairs, record.seeds)

    def p_value(self, one: str, other: str, metric: str) -> float | None:
        """Return the p-value, adjusted over all pairs, that two models differ; None for an unknown pair or metric.

        Over several hold-outs that of the corrected resampled t test, which counts what training on other images adds.
        """
        found = self._difference(one, other, metric)
        if found is None:
            return None
        return found.holm if found.resampled_holm is None else found.resampled_holm

    def smallest_seen(self, one: str, other: str, metric: str) -> float | None:
        """Return the smallest difference that these images show in four of five cases; None if unknown."""
        found = self._difference(one, other, metric)
        return None if found is None else found.smallest_seen

    def tied(self, one: str, other: str, metric: str) -> bool:
        """Return whether two different models were compared and not told apart, by images that could have done so."""
        p_value = self.p_value(one, other, metric) if one != other else None
        return p_value is not None and p_value >= self.alpha and not self.too_few

    def undecided(self, one: str, other: str, metric: str) -> bool:
        """Return whether two different models were compared on too few images for any difference to show."""
        return self.too_few and one != other and self.p_value(one, other, metric) is not None

    def _difference(self, one: str, other: str, metric: str) -> DifferenceRecord | None:
        pair = self.pairs.get(frozenset((one, other)))
        return None if pair is None else pair.differences.get(metric)
