"""Every two models on one dataset, and its groups of models: which differences are more than chance.

The printed scores, means over the folds' classifiers, are compared by exchanging the two models' outputs image by
image, under `grouped` group by group; over several hold-outs an image is exchanged in all that it belongs to. McNemar's
test of the final classifiers of the first hold-out stands beside. Each family of p-values is all pairs of models of the
dataset, adjusted by Holm.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from itertools import combinations

import numpy as np

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.comparison.group_records import group_records
from medvlm_tui.engine.comparison.several_hold_outs import SeveralHoldOuts
from medvlm_tui.engine.comparison.two_models import Compared, Pair, Tested, compare
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import DatasetJob, StepContext
from medvlm_tui.measures.paired_scores import too_few
from medvlm_tui.measures.paired_tests import holm
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


def run(job: DatasetJob, context: StepContext) -> Iterator[Event]:
    """Compare the probes in the step's parameters; raises MedvlmError when one is gone."""
    begun = time.monotonic()
    params = params_of(ComparisonParams, job.step.params)
    cells = CellInput.all_of(job.step.params)
    held = SeveralHoldOuts.of(cells, context.store)
    tested = Tested.of(held, params)
    models = [Compared.of(part) for part in held.parts]
    pairs = yield from _pairs(tested, models, job, context)
    record = PairsRecord(
        protocol=job.step.params["protocol"],
        models=tuple(cell.model for cell in cells),
        n=held.images,
        left_out=sum(part.left_out for part in held.parts),
        groups_drawn=None if held.first.groups is None else held.units,
        too_few=too_few(held.units, params.alpha, len(pairs)),
        draws=draws_needed(len(pairs), params.alpha),
        seeds=len(held.parts),
        pairs=_records(pairs, tested),
        groups=_groups(cells, models, params),
        **asdict(params),
        versions=versions("numpy", "scipy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    shown = PAIRS.summary(record)
    yield ResultReady(job.step.id, "pairs", job.step.key, "", job.step.dataset, shown)


def _pairs(
    tested: Tested, models: Sequence[Sequence[Compared]], job: DatasetJob, context: StepContext
) -> Generator[Event, None, list[Pair]]:
    """Yield progress; return every two models, compared; `models` of each hold-out."""
    every = list(combinations(zip(*models, strict=True), 2))
    found = []
    for number, (first, second) in enumerate(every):
        context.check()
        yield StepProgress(job.step.id, number, len(every), unit="pairs")
        found.append(compare(tested, first, second))
    return found


def _records(pairs: Sequence[Pair], tested: Tested) -> tuple[PairRecord, ...]:
    """Return the pairs as records, with the p-values of each family adjusted."""
    tests = [pair.mcnemar for pair in pairs if pair.mcnemar is not None]
    adjusted = holm([test.mid_p for test in tests])
    by_metric = {name: holm([pair.differences[name].p_value for pair in pairs]) for name in pairs[0].differences}
    resampled = {
        name: holm([p for pair in pairs if (p := pair.differences[name].resampled_p) is not None]) for name in by_metric
    }
    exhaustive = tested.held.units <= EXACT_UNITS
    # Without drawing, accuracy's distribution needs hold-outs of one size.
    exact = len({len(part.codes) for part in tested.held.parts}) == 1
    return tuple(
        PairRecord(
            a=pair.a,
            b=pair.b,
            mcnemar=None if pair.mcnemar is None else McNemarRecord(**asdict(pair.mcnemar), holm=adjusted[i]),
            differences={
                name: DifferenceRecord(
                    **asdict(found),
                    holm=by_metric[name][i],
                    resampled_holm=resampled[name][i] if resampled[name] else None,
                    method="exact" if exhaustive or (exact and name == "accuracy") else "drawn",
                )
                for name, found in pair.differences.items()
            },
        )
        for i, pair in enumerate(pairs)
    )


def _groups(
    cells: Sequence[CellInput], models: Sequence[Sequence[Compared]], params: ComparisonParams
) -> tuple[GroupRecord, ...]:
    """Return the tests of every trait on this dataset, for accuracy and macro F1; `models` of each hold-out."""
    traits = [[cell.traits for cell in cells]]
    return tuple(
        record
        for metric in ("accuracy", "macro_f1")
        for record in group_records(
            metric,
            np.mean([[[model.scores[metric].value for model in part]] for part in models], axis=0),
            traits,
            params.seed,
        )
    )
