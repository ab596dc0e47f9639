"""Alignment: how the texts and images of one model on one dataset lie together, each measure with an interval."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.store.store import Stored
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.encoders.text.loading import require_text
from medvlm_tui.engine.language import alignment
from medvlm_tui.engine.language.space import Space, open_space
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.measures.draws import stratified_subsample
from medvlm_tui.measures.language.geometry import class_means, direction_cosines, linear_cka, permutation_p, rsa
from medvlm_tui.measures.language.zero_shot import unit
from medvlm_tui.stages.language import ALIGNMENT
from medvlm_tui.stages.params.language import AlignmentParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.language import AlignmentRecord, MeasureRecord
from medvlm_tui.stages.records.probe import ProbeRecord

Floats = NDArray[np.float64]
_LOW, _HIGH = 2.5, 97.5
_FEWEST_IMAGES = 5


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Compute every measure of one model on one dataset."""
    begun = time.monotonic()
    params = params_of(AlignmentParams, job.step.params)
    yield StepProgress(job.step.id, 0, 2, unit="parts")
    space = open_space(job, context)
    rows = stratified_subsample(space.labelled.codes, params.max_points, params.seed)
    vectors = _vectors(space, rows, params)
    context.check()
    yield StepProgress(job.step.id, 1, 2, unit="parts")
    record = AlignmentRecord(
        classes=space.labelled.classes,
        measures=(*_measured(vectors, params), *_against_probe(job, context, vectors, params)),
        n=len(space.images),
        used=len(rows),
        text_key=job.step.params["text"],
        set_name=params.set_name,
        permutations=params.permutations,
        resamples=params.resamples,
        max_points=params.max_points,
        seed=params.seed,
        versions=versions("numpy", "scipy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    shown = ALIGNMENT.summary(record)
    yield ResultReady(job.step.id, "alignment", job.step.key, job.step.model, job.step.dataset, shown)


def _vectors(space: Space, rows: NDArray[np.int64], params: AlignmentParams) -> alignment.Vectors:
    chosen = next((each for each in space.sets if each.name == params.set_name), space.sets[-1])
    prompts = unit(np.concatenate(space.prompts(chosen)))
    return alignment.Vectors(space.images[rows], space.labelled.codes[rows], prompts, space.classes(chosen))


def _measured(vectors: alignment.Vectors, params: AlignmentParams) -> list[MeasureRecord]:
    weights = alignment.resampled_weights(vectors.codes, params.resamples, params.seed)
    chance = alignment.by_chance(vectors)
    p_values: dict[str, float] = {}
    means = class_means(vectors.images, vectors.codes, len(vectors.classes))
    for name, measure in (("class_geometry_rsa", rsa), ("class_geometry_cka", linear_cka)):
        tested = permutation_p(measure, means, vectors.classes, params.permutations, params.seed)
        if tested is not None:
            chance[name], p_values[name] = tested
    enough = len(vectors.codes) >= _FEWEST_IMAGES
    return [
        _record(name, "", values, len(vectors.codes), enough, chance.get(name), p_values.get(name))
        for name, values in alignment.every(vectors, weights).items()
    ]


def _record(
    name: str, condition: str, values: Floats, n: int, enough: bool, chance: float | None, p_value: float | None
) -> MeasureRecord:
    low, high = np.nanpercentile(values[1:], [_LOW, _HIGH]) if enough else (None, None)
    return MeasureRecord(
        name=name,
        condition=condition,
        value=float(values[0]),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        n=n,
        chance=chance,
        p_value=p_value,
    )


def _against_probe(
    job: CellJob, context: StepContext, vectors: alignment.Vectors, params: AlignmentParams
) -> list[MeasureRecord]:
    """Return how far the texts' directions are the linear classifier's; none where its features lie elsewhere.

    The interval is the range over the folds' classifiers. With two classes both have one direction.
    """
    probe = context.store.read(job.inputs["probe"], PROBE.record) if "probe" in job.inputs else None
    if probe is None or require_text(job.model).joins[job.encoder.feature]:
        return []
    final = _weights(probe, "final_coef", "final_scale")
    if final.shape != vectors.classes.shape:
        return []
    folds = [_weights(probe, "coef", "scale", fold) for fold in range(len(probe.arrays["coef"]))]
    own = direction_cosines(vectors.classes, final)
    others = np.stack([direction_cosines(vectors.classes, each) for each in folds])
    random = np.random.default_rng(params.seed)
    draws = [random.permutation(len(own)) for _ in range(params.permutations)]
    permuted = np.array([direction_cosines(vectors.classes[order], final).mean() for order in draws])
    p_value = float((permuted >= own.mean() - 1e-12).sum() + 1) / (len(permuted) + 1)
    spread = others.mean(axis=1)
    return [
        MeasureRecord(
            name="text_direction_of_svm",
            condition="",
            value=float(own.mean()),
            low=float(min(spread.min(), own.mean())),
            high=float(max(spread.max(), own.mean())),
            n=len(folds),
            chance=float(permuted.mean()),
            p_value=p_value,
        )
    ]


def _weights(probe: Stored[ProbeRecord], coef: str, scale: str, fold: int | None = None) -> Floats:
    """Return a linear classifier's weights (k, d) for features that are not standardised."""
    weights, scales = probe.arrays[coef], probe.arrays[scale]
    one, by = (weights, scales) if fold is None else (weights[fold], scales[fold])
    return np.asarray(one.astype(np.float64) / by, dtype=np.float64)
