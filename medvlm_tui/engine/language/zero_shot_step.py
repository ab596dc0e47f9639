"""Zero-shot: the cosines of images and the texts of their classes, scored on the probe's hold-out and on all rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.prompts import PromptSet
from medvlm_tui.core.store.store import Stored
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.encoders.text.loading import require_text
from medvlm_tui.engine.language.scores import Held, over_hold_outs, prompt_scores, scored, versus
from medvlm_tui.engine.language.space import Space, official_classes, open_space
from medvlm_tui.engine.step.inputs import AGAIN, params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.language.zero_shot import best_threshold, centred, chance_by_names, flip_rate
from medvlm_tui.measures.paired_tests import holm
from medvlm_tui.measures.repeats import HoldOuts
from medvlm_tui.stages.language import ZERO_SHOT
from medvlm_tui.stages.params.language import ZeroShotParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.language import PromptSetRecord, VersusRecord, WordsRecord, ZeroShotRecord
from medvlm_tui.stages.records.probe import ProbeRecord

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Score every set of prompts of one model on one dataset."""
    begun = time.monotonic()
    params = params_of(ZeroShotParams, job.step.params)
    yield StepProgress(job.step.id, 0, 1, unit="sets of prompts")
    space = open_space(job, context)
    probes = [_probe(key, job, context) for key in job.step.params["probes"]]
    held_out = _held_out(space, probes[0], job, context)
    held = held_out[0]
    made, records = [], []
    for number, chosen in enumerate(space.sets):
        context.check()
        yield StepProgress(job.step.id, number, len(space.sets), unit="sets of prompts")
        made.append(_Classes.of(space, job, chosen))
        records.append(_record(space, made[-1], held_out, probes, job, params))
    cosines = np.stack([classes.cosines for classes in made])
    answers = cosines[:, held.rows].argmax(axis=2)
    record = ZeroShotRecord(
        classes=space.labelled.classes,
        sets=tuple(records),
        flips_between_sets=max((flip_rate(a, b) for a, b in combinations(answers, 2)), default=0.0),
        factor=space.texts.scale.factor,
        bias=space.texts.scale.bias,
        probability=require_text(job.model).probability,
        feature=job.encoder.feature,
        n=len(space.images),
        n_test=len(held.rows),
        seeds=len(held_out),
        text_key=job.step.params["text"],
        confidence=params.confidence,
        permutations=params.permutations,
        seed=params.seed,
        versions=versions("numpy", "scipy", "torch", "transformers", "open_clip_torch"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(
        job.step.key, _arrays(cosines, np.stack([classes.vectors for classes in made]), held, space), record
    )
    shown = ZERO_SHOT.summary(record)
    yield ResultReady(job.step.id, "zero_shot", job.step.key, job.step.model, job.step.dataset, shown)


def _arrays(cosines: Floats, vectors: Floats, held: Held, space: Space) -> dict[str, NDArray[Any]]:
    return {
        "cosines": cosines.astype(np.float32),
        "class_vectors": vectors.astype(np.float32),
        "hold_out": held.rows,
        "labels": space.labelled.codes.astype(np.int16),
    }


def _held_out(space: Space, first: Stored[ProbeRecord], job: CellJob, context: StepContext) -> list[Held]:
    """Return the hold-out of the first probe, and the further ones of a run with several."""
    further = [_probe(key, job, context) for key in job.step.params.get("further", ())]
    return [Held.of(space.labelled.codes, probe) for probe in (first, *further)]


def _probe(key: str, job: CellJob, context: StepContext) -> Stored[ProbeRecord]:
    found = context.store.read(key, PROBE.record)
    if found is None:
        raise MedvlmError(f"a probe of {job.step.model} on {job.step.dataset} is missing or damaged", AGAIN)
    return found


@dataclass(frozen=True, slots=True)
class _Classes:
    """The classes as one set of prompts describes them, beside every image."""

    prompts: PromptSet
    vectors: Floats
    """(k, d)"""
    cosines: Floats
    """(n, k)"""

    @classmethod
    def of(cls, space: Space, job: CellJob, chosen: PromptSet) -> _Classes:
        """Return the class vectors of a set; of `descriptors` by the rule of the model's authors."""
        official = official_classes(space, job.model.id, chosen) if chosen.name == "descriptors" else None
        vectors = space.classes(chosen) if official is None else official
        return cls(chosen, vectors, space.images @ vectors.T)


def _record(
    space: Space,
    classes: _Classes,
    held_out: Sequence[Held],
    probes: Sequence[Stored[ProbeRecord]],
    job: CellJob,
    params: ZeroShotParams,
) -> PromptSetRecord:
    chosen, cosines, codes, held = classes.prompts, classes.cosines, space.labelled.codes, held_out[0]
    graded = job.dataset.spec.id == "deepdrid" and not job.dataset.view
    everything = Held(np.arange(len(codes)), codes, held.positive)
    answers = cosines[held.rows].argmax(axis=1)
    chance, p_value = chance_by_names(held.codes, answers, len(classes.vectors), params.permutations, params.seed)
    return PromptSetRecord(
        name=chosen.name,
        source=chosen.source,
        fallback=chosen.fallback,
        hold_out=over_hold_outs(
            [scored(cosines, each, space.texts.scale, params.confidence, graded) for each in held_out],
            HoldOuts(len(held.rows), len(codes) - len(held.rows)),
            params.confidence,
        ),
        all_rows=scored(cosines, everything, space.texts.scale, params.confidence, graded),
        extras=_extras(space, classes, held),
        by_chance=chance,
        p_value=p_value,
        prompts=prompt_scores(space, chosen, held, answers),
        words=_words(space, chosen),
        versus=_versus(cosines[held.rows], held, probes, params),
    )


def _versus(
    cosines: Floats, held: Held, probes: Sequence[Stored[ProbeRecord]], params: ZeroShotParams
) -> tuple[VersusRecord, ...]:
    same = [probe for probe in probes if np.array_equal(probe.arrays["hold_out"], held.rows)]
    found = [versus(cosines, held, probe, params.confidence, params.seed) for probe in same]
    adjusted = holm([each.p_value for each in found])
    return tuple(replace(each, holm=p_value) for each, p_value in zip(found, adjusted, strict=True))


def _extras(space: Space, classes: _Classes, held: Held) -> Mapping[str, float | None]:
    """Return what is labelled as an extra: without each modality's offset, and with a threshold of training rows."""
    own = centred(space.images)[held.rows] @ centred(classes.vectors).T
    found: dict[str, float | None] = {"balanced_accuracy_centred": held.balanced(own.argmax(axis=1))}
    if len(classes.vectors) == 2:
        cosines = classes.cosines
        difference, train = cosines[:, 1] - cosines[:, 0], held.others(len(cosines))
        cut = best_threshold(difference[train], space.labelled.codes[train] == 1)
        found["balanced_accuracy_threshold"] = held.balanced((difference[held.rows] > cut).astype(np.int64))
    return found


def _words(space: Space, chosen: PromptSet) -> tuple[WordsRecord, ...]:
    return tuple(
        WordsRecord(class_name=name, prompt=text, tokens=space.texts.tokens[text], cut=text in space.texts.cut)
        for name, of in zip(space.labelled.classes, chosen.prompts, strict=True)
        for text in of
    )
