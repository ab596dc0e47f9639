"""Every two models on one dataset, and its groups of models: which differences are more than chance.

The printed scores, means over the folds' classifiers, are compared by exchanging the two models' outputs image by
image, under `grouped` group by group. McNemar's test of the final classifiers stands beside. Each family of p-values
is all pairs of models of the dataset, adjusted by Holm.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.comparison.common_images import CommonImages, Predicted
from medvlm_tui.engine.comparison.group_records import group_records
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import DatasetJob, StepContext
from medvlm_tui.measures.exchange import Images, Outputs, exchange_p_values
from medvlm_tui.measures.influence import Influence, influences, variance
from medvlm_tui.measures.paired_scores import ScoreDifference, draws_p_value, score_difference, smallest_seen, too_few
from medvlm_tui.measures.paired_tests import McNemar, holm, mcnemar
from medvlm_tui.measures.score_intervals import draws_variance
from medvlm_tui.measures.sign_flips import EXACT_UNITS, draws_needed
from medvlm_tui.stages.comparison import PAIRS
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.params.comparison import ComparisonParams
from medvlm_tui.stages.records.comparison import (
    DifferenceRecord,
    GroupRecord,
    McNemarRecord,
    PairRecord,
    PairsRecord,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Compared:
    """One model on the common images."""

    predicted: Predicted
    outputs: Outputs
    scores: Mapping[str, Influence]
    """Metric -> mean over the folds' classifiers, and how each image moves it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same images."""

    a: str
    b: str
    mcnemar: McNemar | None
    differences: Mapping[str, ScoreDifference]
    """Metric -> a's score less b's."""
    p_values: Mapping[str, float]
    """Metric -> two-sided, not adjusted."""


def run(job: DatasetJob, context: StepContext) -> Iterator[Event]:
    """Compare the probes in the step's parameters; raises MedvlmError when one is gone."""
    begun = time.monotonic()
    params = params_of(ComparisonParams, job.step.params)
    cells = CellInput.all_of(job.step.params)
    common = CommonImages.of(cells, context.store)
    images = Images(common.codes, len(common.classes), common.positive, common.groups)
    models = [
        Compared(model, Outputs.of(model.scores), influences(common.codes, model.scores, common.positive))
        for model in common.models
    ]
    pairs = yield from _pairs(images, models, params, job, context)
    record = PairsRecord(
        protocol=job.step.params["protocol"],
        models=tuple(cell.model for cell in cells),
        n=len(common.codes),
        left_out=common.left_out,
        groups_drawn=None if common.groups is None else images.units,
        too_few=too_few(images.units, params.alpha, len(pairs)),
        draws=draws_needed(len(pairs), params.alpha),
        pairs=_records(pairs, params.alpha, images.units <= EXACT_UNITS),
        groups=_groups(cells, models, params),
        **asdict(params),
        versions=versions("numpy", "scipy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    shown = PAIRS.summary(record)
    yield ResultReady(job.step.id, "pairs", job.step.key, "", job.step.dataset, shown)


def _pairs(
    images: Images, models: Sequence[Compared], params: ComparisonParams, job: DatasetJob, context: StepContext
) -> Generator[Event, None, list[Pair]]:
    """Yield progress; return every two models, compared."""
    every = list(combinations(models, 2))
    found = []
    for number, (first, second) in enumerate(every):
        context.check()
        yield StepProgress(job.step.id, number, len(every), unit="pairs")
        found.append(_pair(images, first, second, params, draws_needed(len(every), params.alpha)))
    return found


def _pair(images: Images, first: Compared, second: Compared, params: ComparisonParams, draws: int) -> Pair:
    p_values = exchange_p_values(images, first.outputs, second.outputs, draws, params.seed)
    differences = {}
    for name in p_values:
        one, other = first.scores[name], second.scores[name]
        gains = _draws(first.predicted, second.predicted, name)
        differences[name] = score_difference(
            one, other, images.codes, images.groups, params.confidence, draws_variance(gains)
        )
        if gains is not None:
            spread = variance(one.per_image - other.per_image, images.codes, images.groups)
            with_draws = draws_p_value(differences[name].value, spread, np.array(gains), images.units)
            p_values[name] = max(p_values[name], with_draws)
    test, a, b = None, first.predicted, second.predicted
    if a.final is not None and b.final is not None:
        test = mcnemar(a.final == images.codes, b.final == images.codes)
    return Pair(a.model, b.model, test, differences, p_values)


def _draws(first: Predicted, second: Predicted, metric: str) -> list[float] | None:
    """Return the differences (F,) of two models' draws of training images, which are the same; None without draws."""
    if first.draws is None or second.draws is None:
        return None
    return [a - b for a, b in zip(first.draws[metric], second.draws[metric], strict=True)]


def _records(pairs: Sequence[Pair], alpha: float, exhaustive: bool) -> tuple[PairRecord, ...]:
    """Return the pairs as records, with the p-values of each family adjusted."""
    tests = [pair.mcnemar for pair in pairs if pair.mcnemar is not None]
    adjusted = holm([test.mid_p for test in tests])
    by_metric = {name: holm([pair.p_values[name] for pair in pairs]) for name in pairs[0].p_values}
    return tuple(
        PairRecord(
            a=pair.a,
            b=pair.b,
            mcnemar=None if pair.mcnemar is None else McNemarRecord(**asdict(pair.mcnemar), holm=adjusted[i]),
            differences={
                name: DifferenceRecord(
                    value=found.value,
                    low=found.low,
                    high=found.high,
                    p_value=pair.p_values[name],
                    holm=by_metric[name][i],
                    smallest_seen=smallest_seen(found, alpha, len(pairs)),
                    method="exact" if name == "accuracy" or exhaustive else "drawn",
                )
                for name, found in pair.differences.items()
            },
        )
        for i, pair in enumerate(pairs)
    )


def _groups(
    cells: Sequence[CellInput], models: Sequence[Compared], params: ComparisonParams
) -> tuple[GroupRecord, ...]:
    """Return the tests of every trait on this dataset, for accuracy and macro F1."""
    traits = [[cell.traits for cell in cells]]
    return tuple(
        record
        for metric in ("accuracy", "macro_f1")
        for record in group_records(
            metric, np.array([[model.scores[metric].value for model in models]]), traits, params.seed
        )
    )
