"""How sure a score is: the stratified bootstrap interval of the mean over the folds, on the hold-out.

Under `grouped` whole groups are drawn, since images of one group are no independent evidence. Under `few_shot` the
draws of training images are drawn again too: they differ by more than the folds of one training set do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.request import StatisticsParams
from medvlm_tui.core.store.store import StoredResult
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.run import summaries
from medvlm_tui.engine.step.inputs import earlier_result, params_of
from medvlm_tui.engine.step.job import Job, StepContext
from medvlm_tui.measures import classification

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# 200 resamples x 5,632 images x 8 bytes (HiCervix) = 9 MB a chunk.
CHUNK = 200


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Compute the intervals of one probe result."""
    begun = time.monotonic()
    probe = earlier_result(job, context, "probe")
    params = params_of(StatisticsParams, job.step.params)
    codes = probe.arrays["labels"][probe.arrays["hold_out"]].astype(np.int64)
    groups = held_groups(probe)
    rng = np.random.default_rng(params.seed)
    draws: dict[str, list[Floats]] = {}
    for start in range(0, params.resamples, CHUNK):
        context.check()
        yield StepProgress(job.step.id, start, params.resamples, unit="resamples")
        weights = resample_weights(codes, min(CHUNK, params.resamples - start), rng, groups)
        scores = probe.arrays["scores_test"]
        shares = fold_shares(probe.record["protocol"], len(weights), len(scores), rng)
        for name, values in resampled_metrics(codes, weights, scores, _positive(probe), shares).items():
            draws.setdefault(name, []).append(values)
    record = {
        "intervals": {name: interval(np.concatenate(values), params.confidence) for name, values in draws.items()},
        **asdict(params),
        "groups": None if groups is None else len(np.unique(groups)),
        "versions": versions("numpy", "scipy"),
        "seconds": time.monotonic() - begun,
    }
    context.store.put_result(job.step.key, {}, record)
    shown = summaries.of_record("statistics", record)
    yield ResultReady(job.step.id, "statistics", job.step.key, job.step.model, job.step.dataset, shown)


def held_groups(probe: StoredResult) -> Ints | None:
    """Return the group (n_test,) of each held-out image under the protocol `grouped`, None under any other.

    An image without a group is a group of its own.
    """
    groups = probe.arrays.get("group")
    return None if groups is None else groups[probe.arrays["hold_out"]].astype(np.int64)


def resample_weights(codes: Ints, resamples: int, rng: np.random.Generator, groups: Ints | None = None) -> Floats:
    """Return (resamples, n) counts of how often each image is drawn.

    Each class keeps its size; with `groups` (n,) whole groups are drawn instead, and the groups of which a class is
    the most frequent one keep their number.
    """
    if groups is not None:
        members = np.unique(groups, return_inverse=True)[1]
        drawn: Floats = resample_weights(_strata(codes, members), resamples, rng)[:, members]
        return drawn
    weights = np.zeros((resamples, len(codes)))
    for c in np.unique(codes):
        rows = np.flatnonzero(codes == c)
        weights[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    return weights


def fold_shares(protocol: str, resamples: int, folds: int, rng: np.random.Generator) -> Floats | None:
    """Return the share (resamples, F) of each draw of training images in a resample; None: each counts the same."""
    if protocol != "few_shot":
        return None
    return rng.multinomial(folds, np.full(folds, 1 / folds), size=resamples) / folds


def mean_over_folds(values: Floats, shares: Floats | None) -> Floats:
    """Return the means (resamples,) of (F, resamples) values."""
    means: Floats = values.mean(axis=0) if shares is None else (values * shares.T).sum(axis=0)
    return means


def _strata(codes: Ints, members: Ints) -> Ints:
    """Return the most frequent class (G,) of each group; a class with one group only joins the largest stratum.

    Alone it would be drawn every time, as if it were known without error.
    """
    counts = np.zeros((int(members.max()) + 1, int(codes.max()) + 1), dtype=np.int64)
    np.add.at(counts, (members, codes), 1)
    strata = counts.argmax(axis=1)
    sizes = np.bincount(strata)
    return np.where(sizes[strata] == 1, int(sizes.argmax()), strata)


def resampled_metrics(
    codes: Ints, weights: Floats, scores: Floats, positive: int | None, shares: Floats | None = None
) -> dict[str, Floats]:
    """Return the mean over the folds of each metric, (resamples,), of decision values (F, n, k)."""
    folds, _, n_classes = scores.shape
    matrices = np.stack([_confusions(codes, weights, fold.argmax(axis=1), n_classes) for fold in scores])
    found = classification.from_confusion(positive).items()
    values = {name: mean_over_folds(score(matrices), shares) for name, score in found}
    areas = [area for area in (_mean_area(codes, weights, fold) for fold in scores) if area is not None]
    if len(areas) == folds:
        values["auroc"] = mean_over_folds(np.array(areas), shares)
    return values


def interval(draws: Floats, confidence: float) -> list[float]:
    """Return [low, high], the percentiles that leave (1 - confidence) / 2 on either side."""
    tail = (1 - confidence) / 2
    # A draw of whole groups may lose a class, and an area under a curve with it.
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return [float(low), float(high)]


def _positive(probe: StoredResult) -> int | None:
    named = probe.record["positive"]
    return probe.record["classes"].index(named) if named else None


def _confusions(codes: Ints, weights: Floats, predicted: Ints, n_classes: int) -> Floats:
    """Return (resamples, k, k) counts of (true, predicted)."""
    matrices = np.zeros((len(weights), n_classes, n_classes))
    for c in range(n_classes):
        rows = np.flatnonzero(codes == c)
        matrices[:, c] = weights[:, rows] @ np.eye(n_classes)[predicted[rows]]
    return matrices


def _mean_area(codes: Ints, weights: Floats, scores: Floats) -> Floats | None:
    """Return the one-vs-rest macro AUROC (resamples,), or None where no class has both sides."""
    n_classes = scores.shape[1]
    # The scores of two classes mirror each other: one area says both.
    wanted = [1] if n_classes == 2 else range(n_classes)
    areas = [_areas(codes == c, weights, scores[:, c]) for c in wanted if 0 < np.sum(codes == c) < len(codes)]
    if not areas:
        return None
    # A class that a draw of groups has lost says nothing in that draw.
    known = ~np.isnan(areas)
    means: Floats = np.full(len(weights), np.nan)
    np.divide(np.nansum(areas, axis=0), known.sum(axis=0), out=means, where=known.any(axis=0))
    return means


def _areas(positive: NDArray[np.bool_], weights: Floats, score: Floats) -> Floats:
    """Return the weighted AUROC (resamples,): the share of (positive, negative) pairs in order, ties by half."""
    order = np.argsort(score, kind="stable")
    ranked, score = positive[order], score[order]
    below = np.searchsorted(score, score[ranked], side="left")
    through = np.searchsorted(score, score[ranked], side="right")
    negative = np.where(ranked, 0.0, weights[:, order])
    cumulative = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(negative, axis=1)], axis=1)
    drawn = weights[:, order][:, ranked]
    pairs = (drawn * (cumulative[:, below] + cumulative[:, through]) / 2).sum(axis=1)
    possible = drawn.sum(axis=1) * cumulative[:, -1]
    result: Floats = np.divide(pairs, possible, out=np.full(len(pairs), np.nan), where=possible > 0)
    return result
