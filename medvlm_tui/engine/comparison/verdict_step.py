"""The models of one dataset that its held-out images do not separate from the best: a model confidence set.

Models are compared by the printed accuracy, the mean over the folds' classifiers, on the held-out images that all of
them share; under `grouped` whole groups are the units.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.comparison.common_images import CommonImages
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import DatasetJob, StepContext
from medvlm_tui.measures.influence import Influence, mean_influence
from medvlm_tui.measures.many_models.confidence_set import ConfidenceSet, confidence_set
from medvlm_tui.measures.paired_scores import score_difference, smallest_seen, too_few
from medvlm_tui.measures.sign_flips import unit_sums
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.params.verdict import VerdictParams
from medvlm_tui.stages.records.verdict import CandidateRecord, VerdictRecord
from medvlm_tui.stages.verdict import VERDICT

Floats = NDArray[np.float64]


def run(job: DatasetJob, context: StepContext) -> Iterator[Event]:
    """Compute the confidence set of the probes in the step's parameters; raises MedvlmError when one is gone."""
    begun = time.monotonic()
    params = params_of(VerdictParams, job.step.params)
    common = CommonImages.of(CellInput.all_of(job.step.params), context.store)
    right = right_shares(common)
    context.check()
    found = confidence_set(unit_sums(right, common.groups), params.level, params.draws, params.seed)
    record = VerdictRecord(
        protocol=job.step.params["protocol"],
        n=len(common.codes),
        left_out=common.left_out,
        groups=None if common.groups is None else found.units,
        too_few=len(common.models) > 1 and too_few(found.units, 1 - params.level, 1),
        exhaustive=found.exhaustive,
        candidates=_candidates(common, right, found, params),
        **asdict(params),
        versions=versions("numpy", "scipy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    yield ResultReady(job.step.id, "verdict", job.step.key, "", job.step.dataset, VERDICT.summary(record))


def right_shares(common: CommonImages) -> Floats:
    """Return (n, m) the share of each model's classifiers that have each image right."""
    return np.stack([(model.scores.argmax(axis=2) == common.codes).mean(axis=0) for model in common.models], axis=1)


def _candidates(
    common: CommonImages, right: Floats, found: ConfidenceSet, params: VerdictParams
) -> tuple[CandidateRecord, ...]:
    """Return the models by falling accuracy; of equal ones the one that stays longer comes first."""
    scores = [mean_influence(column) for column in right.T]
    order = sorted(range(len(scores)), key=lambda m: (-scores[m].value, -found.p_values[m], m))
    return tuple(_candidate(common, scores, model, order[0], found, params) for model in order)


def _candidate(
    common: CommonImages,
    scores: Sequence[Influence],
    model: int,
    best: int,
    found: ConfidenceSet,
    params: VerdictParams,
) -> CandidateRecord:
    behind = score_difference(scores[best], scores[model], common.codes, common.groups, params.level)
    tests = max(len(scores) - 1, 1)
    itself = model == best
    return CandidateRecord(
        model=common.models[model].model,
        accuracy=scores[model].value,
        inside=bool(found.inside[model]),
        p_value=float(found.p_values[model]),
        behind=behind.value,
        behind_low=0.0 if itself else behind.low,
        behind_high=0.0 if itself else behind.high,
        smallest_seen=None if itself else smallest_seen(behind, 1 - params.level, tests),
    )
