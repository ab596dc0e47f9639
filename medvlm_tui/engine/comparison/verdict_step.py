"""The models of one dataset that its held-out images do not separate from the best: a model confidence set.

Models are compared by the printed accuracy, the mean over the folds' classifiers, on the held-out images that all of
them share; under `grouped` whole groups are the units. Over several hold-outs the mean over them is compared, and an
image that is held out more than once is one unit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.comparison.common_images import CommonImages
from medvlm_tui.engine.comparison.several_hold_outs import SeveralHoldOuts
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import DatasetJob, StepContext
from medvlm_tui.measures.influence import mean_influence
from medvlm_tui.measures.many_models.confidence_set import ConfidenceSet, confidence_set
from medvlm_tui.measures.paired_scores import score_difference, smallest_seen, too_few
from medvlm_tui.measures.repeats import repeated_difference, smallest_repeated_difference
from medvlm_tui.measures.sign_flips import unit_sums
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.params.verdict import VerdictParams
from medvlm_tui.stages.records.verdict import CandidateRecord, VerdictRecord
from medvlm_tui.stages.verdict import VERDICT

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def run(job: DatasetJob, context: StepContext) -> Iterator[Event]:
    """Compute the confidence set of the probes in the step's parameters; raises MedvlmError when one is gone."""
    begun = time.monotonic()
    params = params_of(VerdictParams, job.step.params)
    held = SeveralHoldOuts.of(CellInput.all_of(job.step.params), context.store)
    right = [right_shares(part) for part in held.parts]
    context.check()
    found = confidence_set(_totals(held, right), params.level, params.draws, params.seed)
    names, grouped = held.first.models, held.first.groups is not None
    record = VerdictRecord(
        protocol=job.step.params["protocol"],
        n=held.images,
        left_out=sum(part.left_out for part in held.parts),
        groups=held.units if grouped else None,
        too_few=len(names) > 1 and too_few(found.units, 1 - params.level, 1),
        exhaustive=found.exhaustive,
        seeds=len(held.parts),
        candidates=_candidates(held, right, found, params, context),
        **asdict(params),
        versions=versions("numpy", "scipy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    yield ResultReady(job.step.id, "verdict", job.step.key, "", job.step.dataset, VERDICT.summary(record))


def right_shares(common: CommonImages) -> Floats:
    """Return (n, m) the share of each model's classifiers that have each image right."""
    return np.stack([(model.scores.argmax(axis=2) == common.codes).mean(axis=0) for model in common.models], axis=1)


def _totals(held: SeveralHoldOuts, right: Sequence[Floats]) -> Floats:
    """Return (u, m) sums over each unit's images, in which every hold-out weighs as much as in the mean over them."""
    mean = float(np.mean([len(shares) for shares in right]))
    return held.mean_sums([shares * (mean / len(shares)) for shares in right])


def _candidates(
    held: SeveralHoldOuts,
    right: Sequence[Floats],
    found: ConfidenceSet,
    params: VerdictParams,
    context: StepContext,
) -> tuple[CandidateRecord, ...]:
    """Return the models by falling accuracy; of equal ones the one that stays longer comes first."""
    accuracy = np.stack([shares.mean(axis=0) for shares in right])
    mean = accuracy.mean(axis=0)
    order = sorted(range(len(mean)), key=lambda m: (-mean[m], -found.p_values[m], m))
    times = _times_inside(held, right, params, context)
    return tuple(
        CandidateRecord(
            model=held.first.models[model].model,
            accuracy=float(mean[model]),
            inside=bool(found.inside[model]),
            p_value=float(found.p_values[model]),
            hold_outs_inside=None if times is None else int(times[model]),
            **asdict(_behind(held, right, order[0], model, params)),
        )
        for model in order
    )


def _times_inside(
    held: SeveralHoldOuts, right: Sequence[Floats], params: VerdictParams, context: StepContext
) -> Ints | None:
    """Return (m,) on how many hold-outs each model is in the set of that hold-out alone; None with one hold-out."""
    if len(right) < 2:
        return None
    times = np.zeros(right[0].shape[1], dtype=np.int64)
    for part, shares in zip(held.parts, right, strict=True):
        context.check()
        times += confidence_set(unit_sums(shares, part.groups), params.level, params.draws, params.seed).inside
    return times


@dataclass(frozen=True, slots=True)
class _Behind:
    """Distance of a model to the best one."""

    behind: float = 0.0
    behind_low: float = 0.0
    behind_high: float = 0.0
    smallest_seen: float | None = None


def _behind(held: SeveralHoldOuts, right: Sequence[Floats], best: int, model: int, params: VerdictParams) -> _Behind:
    """Return the difference of two models: over the images of one hold-out, or over several hold-outs."""
    if model == best:
        return _Behind()
    alpha, tests = 1 - params.level, right[0].shape[1] - 1
    if len(right) > 1:
        first, second = (np.array([shares[:, m].mean() for shares in right]) for m in (best, model))
        over = repeated_difference(first, second, held.sizes, params.level)
        smallest = smallest_repeated_difference(first - second, held.sizes, alpha, tests)
        return _Behind(over.value, over.low, over.high, smallest)
    ours, theirs = (mean_influence(right[0][:, m]) for m in (best, model))
    found = score_difference(ours, theirs, held.first.codes, held.first.groups, params.level)
    return _Behind(found.value, found.low, found.high, smallest_seen(found, alpha, tests))
