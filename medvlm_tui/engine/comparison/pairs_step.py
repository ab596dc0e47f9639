"""Every two models on one dataset, and its groups of models: which differences are more than chance.

McNemar's test asks the final classifiers, of which there is one a model (none under `few_shot`); the paired bootstrap
asks the printed scores, the mean over the folds' classifiers. Each family of p-values is all pairs of models of the
dataset, adjusted by Holm.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.request import ComparisonParams
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.comparison.common_images import CommonImages, Predicted
from medvlm_tui.engine.comparison.group_records import group_records
from medvlm_tui.engine.comparison.intervals_step import CHUNK, fold_shares, mean_over_folds, resample_weights
from medvlm_tui.engine.run import summaries
from medvlm_tui.engine.run.gathered_steps import CellInput
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import Job, StepContext
from medvlm_tui.measures import classification
from medvlm_tui.measures.paired_tests import Difference, McNemar, holm, mcnemar, paired_difference

Floats = NDArray[np.float64]
Scores = Mapping[str, Floats]
"""Metric -> one score a resample."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same images."""

    a: str
    b: str
    mcnemar: McNemar | None
    differences: Mapping[str, Difference]
    """Metric -> a's score less b's."""


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Compare the probes in the step's parameters; raises MedvlmError when one is gone."""
    begun = time.monotonic()
    params = params_of(ComparisonParams, job.step.params)
    cells = CellInput.all_of(job.step.params)
    images = CommonImages.of(cells, context.store)
    points = [scores_of(images, model, np.ones((1, len(images.codes)))) for model in images.models]
    draws = yield from _draws(images, params, job, context)
    pairs = [_pair(images, points, draws, a, b, params) for a, b in combinations(range(len(cells)), 2)]
    record = {
        "protocol": job.step.params["protocol"],
        "models": [cell.model for cell in cells],
        "n": len(images.codes),
        "left_out": images.left_out,
        "groups_drawn": None if images.groups is None else len(np.unique(images.groups)),
        "pairs": _records(pairs),
        "groups": _groups(cells, points, params),
        **asdict(params),
        "versions": versions("numpy", "scipy"),
        "seconds": time.monotonic() - begun,
    }
    context.store.put_result(job.step.key, {}, record)
    shown = summaries.of_record("pairs", record)
    yield ResultReady(job.step.id, "pairs", job.step.key, "", job.step.dataset, shown)


def scores_of(
    images: CommonImages, model: Predicted, weights: Floats, shares: Floats | None = None
) -> dict[str, Floats]:
    """Return metric -> (resamples,) means over the folds, each image counted as often as `weights` (resamples, n)."""
    k = len(images.classes)
    cell = images.codes * k + model.folds
    found: dict[str, list[Floats]] = {}
    for fold in cell:
        hit = np.zeros((len(fold), k * k))
        hit[np.arange(len(fold)), fold] = 1
        counts = (weights @ hit).reshape(len(weights), k, k)
        for name, score in classification.from_confusion(images.positive).items():
            found.setdefault(name, []).append(score(counts))
    return {name: mean_over_folds(np.array(values), shares) for name, values in found.items()}


def _draws(
    images: CommonImages, params: ComparisonParams, job: Job, context: StepContext
) -> Generator[Event, None, list[Scores]]:
    """Yield progress; return the scores of each model on the same resamples."""
    rng = np.random.default_rng(params.seed)
    parts: list[list[dict[str, Floats]]] = [[] for _ in images.models]
    for start in range(0, params.resamples, CHUNK):
        yield StepProgress(job.step.id, start, params.resamples, unit="resamples")
        weights = resample_weights(images.codes, min(CHUNK, params.resamples - start), rng, images.groups)
        # The draws of training images are every model's: what one resample leaves out, it leaves out for all.
        shares = fold_shares(job.step.params["protocol"], len(weights), len(images.models[0].folds), rng)
        for model, found in zip(images.models, parts, strict=True):
            context.check()
            found.append(scores_of(images, model, weights, shares))
    return [{name: np.concatenate([part[name] for part in found]) for name in found[0]} for found in parts]


def _pair(
    images: CommonImages, points: Sequence[Scores], draws: Sequence[Scores], a: int, b: int, params: ComparisonParams
) -> Pair:
    first, second = images.models[a], images.models[b]
    differences = {
        name: paired_difference(
            float(points[a][name][0] - points[b][name][0]), draws[a][name], draws[b][name], params.confidence
        )
        for name in draws[a]
    }
    test = None
    if first.final is not None and second.final is not None:
        test = mcnemar(first.final == images.codes, second.final == images.codes)
    return Pair(first.model, second.model, test, differences)


def _records(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Return the pairs as records, with the p-values of each family adjusted."""
    tests = [pair.mcnemar for pair in pairs if pair.mcnemar is not None]
    adjusted = holm([test.mid_p for test in tests])
    by_metric = {name: holm([pair.differences[name].p_value for pair in pairs]) for name in pairs[0].differences}
    return [
        {
            "a": pair.a,
            "b": pair.b,
            "mcnemar": None if pair.mcnemar is None else {**asdict(pair.mcnemar), "holm": adjusted[i]},
            "differences": {name: {**asdict(d), "holm": by_metric[name][i]} for name, d in pair.differences.items()},
        }
        for i, pair in enumerate(pairs)
    ]


def _groups(cells: Sequence[CellInput], points: Sequence[Scores], params: ComparisonParams) -> list[dict[str, Any]]:
    """Return the tests of every trait on this dataset, for accuracy and macro F1."""
    traits = [[cell.traits for cell in cells]]
    return [
        record
        for metric in ("accuracy", "macro_f1")
        for record in group_records(metric, np.array([[float(s[metric][0]) for s in points]]), traits, params.seed)
    ]
