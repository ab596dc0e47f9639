"""Tests of two models' scores on the same images, by exchanging their outputs image by image (or group by group).

Accuracy, balanced accuracy and AUROC are sums over images: an exchange changes the sign of the image's contribution,
and all exchanges are a sign-flip test (measures/sign_flips.py). F1 is a ratio and is computed anew for each exchange.
For AUROC the decision values are put on one scale first, as ranks within each model (Venkatraman and Begg 1996).
Over several hold-outs the score is the mean over them, and an image is exchanged in all of those that it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from medvlm_tui.measures.influence import unit_count
from medvlm_tui.measures.sign_flips import EXACT_UNITS, Signs, all_signs, drawn_signs, exact_p_value, extreme, unit_sums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SETTLED = 0.2
"""A p-value above this after the first chunk of signs is not refined any further."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """One model's outputs on the common images."""

    predicted: Ints
    """(F, n) predicted classes of the folds' classifiers."""
    ranks: Floats
    """(F, n, k) ranks of the decision values among the images."""

    @classmethod
    def of(cls, scores: Floats) -> Outputs:
        """Return the outputs of decision values (F, n, k)."""
        return cls(scores.argmax(axis=2), np.asarray(rankdata(scores, axis=1), dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Images:
    """The images on which models are compared."""

    codes: Ints
    """(n,) true classes."""
    n_classes: int
    positive: int | None
    """The positive class of two."""
    groups: Ints | None
    """(n,) images of one group are exchanged together; None exchanges each alone."""

    @property
    def units(self) -> int:
        """Return the number of units that are exchanged."""
        return unit_count(len(self.codes), self.groups)


def exchange_p_values(images: Images, first: Outputs, second: Outputs, draws: int, seed: int) -> dict[str, float]:
    """Return metric -> two-sided p-value that two models' scores differ.

    Accuracy's is exact for any number of images. The others are b / N over all N = 2^units exchanges up to EXACT_UNITS
    units, else (b + 1) / (N + 1) over at most `draws` drawn ones, where b differences are at least as large as the
    observed one. AUROC is missing where no class has members and others.
    """
    return exchange_over_hold_outs([OneHoldOut(images, first, second, np.arange(images.units))], draws, seed)


@dataclass(frozen=True, slots=True)
class OneHoldOut:
    """Two models on one of several hold-outs."""

    images: Images
    first: Outputs
    second: Outputs
    units: Ints
    """(units,) number of each of its units among those of all hold-outs; its images, or its groups by number."""

    def right_steps(self) -> Ints:
        """Return (units,) how many more of the first model's classifiers have the images of each unit right."""
        steps = right_steps(self.images.codes, self.first.predicted, self.second.predicted)
        return unit_sums(steps.astype(np.float64), self.images.groups).round().astype(np.int64)


def exchange_over_hold_outs(hold_outs: Sequence[OneHoldOut], draws: int, seed: int) -> dict[str, float]:
    """Return metric -> two-sided p-value that two models' mean scores over the hold-outs differ.

    As `exchange_p_values`; an image or group that belongs to several hold-outs is one unit. Accuracy's is exact where
    all hold-outs have equally many images. Metrics that are not defined on every hold-out are missing.
    """
    units = int(max(one.units.max() for one in hold_outs)) + 1
    exhaustive = units <= EXACT_UNITS
    found: dict[str, float] = {}
    if len({one.first.predicted.shape for one in hold_outs}) == 1:
        steps = np.zeros(units, dtype=np.int64)
        for one in hold_outs:
            steps[one.units] += one.right_steps()
        found["accuracy"] = exact_p_value(steps)
    tests = _Tests([(_Scores(one), one.units) for one in hold_outs], units, tuple(found))
    for signs in [all_signs(units)] if exhaustive else drawn_signs(units, draws, seed):
        tests.add(signs)
        if tests.settled:
            break
    return found | tests.p_values(exhaustive)


class _Tests:
    """The exchanges of two models that were tried so far, metric by metric."""

    def __init__(self, parts: Sequence[tuple[_Scores, Ints]], units: int, known: Sequence[str]) -> None:
        """`parts`: the scores on each hold-out with the places of its units; `known`: metrics that need no test."""
        self._parts = parts
        self._metrics = [
            name for name in parts[0][0].metrics if name not in known and all(name in one.metrics for one, _ in parts)
        ]
        self._observed = self._differences(np.ones((1, units), dtype=np.float32), ())
        self._extreme = dict.fromkeys(self._observed, 0)
        self._tried = dict.fromkeys(self._observed, 0)

    @property
    def settled(self) -> frozenset[str]:
        """The metrics whose p-value is so large that more draws do not matter; empty unless all are."""
        done = {name for name, tried in self._tried.items() if self._extreme[name] > SETTLED * tried}
        return frozenset(done) if len(done) == len(self._tried) else frozenset()

    def add(self, signs: Signs) -> None:
        """Try the exchanges (draws, units): -1 exchanges a unit's outputs."""
        done = [name for name, tried in self._tried.items() if tried and self._extreme[name] > SETTLED * tried]
        for name, differences in self._differences(signs, done).items():
            self._extreme[name] += int(extreme(differences, self._observed[name]).sum())
            self._tried[name] += len(signs)

    def p_values(self, exhaustive: bool) -> dict[str, float]:
        """Return metric -> p-value; the observed order is one of all exchanges, and is added to those drawn."""
        more = 0 if exhaustive else 1
        return {name: (b + more) / (self._tried[name] + more) for name, b in self._extreme.items()}

    def _differences(self, signs: Signs, done: Sequence[str]) -> dict[str, Floats]:
        """Return metric -> (draws,) differences of the means over the hold-outs."""
        wanted = [name for name in self._metrics if name not in done]
        found = [
            one.differences(signs if len(places) == signs.shape[1] else signs[:, places], wanted)
            for one, places in self._parts
        ]
        return {name: np.asarray(sum(each[name] for each in found) / len(found)) for name in wanted}


class _Scores:
    """The differences of two models' scores on one hold-out, under any exchange."""

    def __init__(self, one: OneHoldOut) -> None:
        images, first, second = one.images, one.first, one.second
        steps, folds = right_steps(images.codes, first.predicted, second.predicted), len(first.predicted)
        sums = {"accuracy": steps / (folds * len(steps)), "balanced_accuracy": _balanced(images, steps, folds)}
        area = _area_contributions(images, first.ranks, second.ranks)
        if area is not None:
            sums["auroc"] = area
        self._linear = {name: unit_sums(values, images.groups) for name, values in sums.items()}
        self._f1 = _F1(images, first.predicted, second.predicted)
        self.metrics = (*self._linear, *self._f1.metrics)

    def differences(self, signs: Signs, wanted: Sequence[str]) -> dict[str, Floats]:
        """Return each wanted metric's (draws,) differences under signs (draws, units)."""
        found = {name: signs @ values for name, values in self._linear.items() if name in wanted}
        if set(self._f1.metrics) & set(wanted):
            found |= self._f1.differences(signs)
        return found


def right_steps(codes: Ints, first: Ints, second: Ints) -> Ints:
    """Return (n,) how many more of the first model's classifiers (F, n) than of the second's have each image right."""
    return np.asarray((first == codes).sum(axis=0) - (second == codes).sum(axis=0), dtype=np.int64)


def _balanced(images: Images, steps: Ints, folds: int) -> Floats:
    support = np.bincount(images.codes, minlength=images.n_classes)
    weighted: Floats = steps / (folds * (support > 0).sum() * support[images.codes])
    return weighted


def _area_contributions(images: Images, first: Floats, second: Floats) -> Floats | None:
    """Return (n,) contributions whose signed sum is the difference of the AUROCs after the exchange of each minus sign.

    For a positive image i and a negative j, with psi(x, y) = 1 for x > y and 1/2 for x = y, the difference of the two
    models is (psi(a_i, a_j) - psi(b_i, b_j)) (s_i + s_j) / 2 + (psi(a_i, b_j) - psi(b_i, a_j)) (s_i - s_j) / 2: linear
    in the signs.
    """
    n, k = len(images.codes), images.n_classes
    support = np.bincount(images.codes, minlength=k)
    usable = [c for c in ([1] if k == 2 else range(k)) if 0 < support[c] < n]
    if not usable:
        return None
    total = np.zeros(n)
    for c in usable:
        inside = images.codes == c
        for a, b in zip(first[:, :, c], second[:, :, c], strict=True):
            found = np.empty(n)
            found[inside] = (
                _below(a[inside], a[~inside]) - _below(b[inside], b[~inside])
                + _below(a[inside], b[~inside]) - _below(b[inside], a[~inside])
            )  # fmt: skip
            found[~inside] = (
                _below(b[~inside], b[inside]) - _below(a[~inside], a[inside])
                + _below(b[~inside], a[inside]) - _below(a[~inside], b[inside])
            )  # fmt: skip
            total += found / (2 * support[c] * (n - support[c]))
    return total / (len(usable) * len(first))


def _below(values: Floats, others: Floats) -> Floats:
    """Return how many of `others` lie below each value, ties by half."""
    ordered = np.sort(others)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    counts: Floats = (low + high) / 2
    return counts


@dataclass(slots=True)
class _Counts:
    """True positives and predictions of each fold and class of one model."""

    hits: Floats
    """(n, F k)"""
    calls: Floats
    """(n, F k)"""

    @classmethod
    def of(cls, codes: Ints, predicted: Ints, k: int) -> _Counts:
        called = np.concatenate([np.eye(k)[fold] for fold in predicted], axis=1)
        return cls(called * np.tile(np.eye(k)[codes], len(predicted)), called)


class _F1:
    """The differences of macro F1, and of the positive class's F1, under exchanges."""

    def __init__(self, images: Images, first: Ints, second: Ints) -> None:
        self._k, self._positive = images.n_classes, images.positive
        self.metrics = ("macro_f1",) if images.positive is None else ("macro_f1", "f1_positive")
        self._support = np.tile(np.bincount(images.codes, minlength=self._k).astype(np.float64), len(first))
        one, two = (_Counts.of(images.codes, predicted, self._k) for predicted in (first, second))
        # The models' counts are the mean of both, plus and minus half of the signed differences.
        self._middle = tuple((a + b).sum(axis=0) / 2 for a, b in ((one.hits, two.hits), (one.calls, two.calls)))
        moves = [
            unit_sums(a - b, images.groups).astype(np.float32)
            for a, b in ((one.hits, two.hits), (one.calls, two.calls))
        ]
        self._moving = np.flatnonzero(np.any([move.any(axis=1) for move in moves], axis=0))
        self._moves = tuple(move[self._moving] / 2 for move in moves)

    def differences(self, signs: Signs) -> dict[str, Floats]:
        """Return metric -> (draws,) first model's score less the second's."""
        hits, calls = (signs[:, self._moving] @ move for move in self._moves)
        first, second = (
            self._scores(self._middle[0] + side * hits, self._middle[1] + side * calls) for side in (1.0, -1.0)
        )
        return {name: first[name] - second[name] for name in first}

    def _scores(self, hits: Floats, calls: Floats) -> dict[str, Floats]:
        size = self._support + calls
        f1 = np.divide(2 * hits, size, out=np.zeros_like(size), where=size > 0).reshape(len(hits), -1, self._k)
        occurs = (size > 0).reshape(f1.shape)
        found = {"macro_f1": (f1.sum(axis=2) / occurs.sum(axis=2)).mean(axis=1)}
        if self._positive is not None:
            found["f1_positive"] = f1[:, :, self._positive].mean(axis=1)
        return found
