"""The step of words in pictures by words: the bias lab's images and overlays, judged by texts."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.bias import reading
from medvlm_tui.engine.bias.lab import Lab, prepare
from medvlm_tui.engine.bias.reading import NONSENSE, SCRAMBLED, TEXT, Cosines
from medvlm_tui.engine.language.space import lead_of, open_space
from medvlm_tui.engine.language.text_features import text_features
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.measures.language.zero_shot import class_vectors
from medvlm_tui.stages.language import READING
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.params.language import ReadingParams
from medvlm_tui.stages.records.language import ReadingRecord

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Picture:
    """One way in which every image is drawn into."""

    kind: str
    """`text`, `nonsense`, or a control."""
    word: int
    """Place of the drawn word, or of the one whose ink the control has, among words and nonsense words."""


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Measure whether one model reads words in the images of one dataset, and what that does to zero-shot."""
    begun = time.monotonic()
    params = params_of(ReadingParams, job.step.params)
    nonsense = reading.nonsense_of(params.words, params.seed)
    words, classes = _texts(job, context, params, (*params.words, *nonsense))
    lab = prepare(job, context, _drawn_as(params, nonsense))
    listed = pictures(params)
    images = yield from _encoded(lab, listed)
    lead = lead_of(job)
    units = [lead(features) for features in images]
    by_word, by_class = (np.stack([one @ texts.T for one in units]) for texts in (words, classes))
    cosines = _cosines(by_word, by_class, listed)
    names = (*params.words, *nonsense)
    record = ReadingRecord(
        **{field.name: getattr(params, field.name) for field in fields(ReadingParams)},
        nonsense=nonsense,
        kinds=tuple(each.kind for each in listed),
        drawn=tuple(names[each.word] for each in listed),
        classes=lab.classes,
        images=tuple(lab.samples[row].id for row in lab.test),
        measures=(
            *reading.of_words(cosines, params.words),
            *reading.of_classes(cosines, lab.test_codes, params.words),
        ),
        n_test=len(lab.test),
        text_key=job.step.params["text"],
        device=lab.encoder.device,
        versions=versions("numpy", "torch", "pillow", "transformers", "open_clip_torch"),
        seconds=time.monotonic() - begun,
    )
    arrays: dict[str, NDArray[Any]] = {
        "cosines": by_word.astype(np.float32),
        "class_cosines": by_class.astype(np.float32),
        "labels": lab.test_codes.astype(np.int16),
    }
    context.store.put_result(job.step.key, arrays, record)
    lab.forget()
    shown = READING.summary(record)
    yield ResultReady(job.step.id, READING.kind, job.step.key, job.step.model, job.step.dataset, shown)


def pictures(params: ReadingParams) -> list[Picture]:
    """Return what is drawn: each word, its nonsense and its scrambled ink; of the other controls the first word's."""
    count = len(params.words)
    listed = [Picture(TEXT, word) for word in range(count)]
    listed += [Picture(NONSENSE, count + word) for word in range(count)]
    for control in params.controls:
        listed += [Picture(control, word) for word in (range(count) if control == SCRAMBLED else (0,))]
    return listed


def _drawn_as(params: ReadingParams, nonsense: tuple[str, ...]) -> BiasParams:
    return BiasParams(
        words=(*params.words, *nonsense),
        position=params.position,
        height=params.height,
        contrast=params.contrast,
        controls=params.controls,
        test_per_class=params.test_per_class,
        seed=params.seed,
    )


def _texts(job: CellJob, context: StepContext, params: ReadingParams, words: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the unit vectors of words (2 W, d) and of the classes (k, d)."""
    space = open_space(job, context)
    assert job.text is not None
    assert job.text_key is not None
    said = [[template.replace("{}", word) for template in params.templates] for word in words]
    listed = [text for of in said for text in of]
    found = text_features(listed, job.text, job.text_key, context, job.request.device).vectors
    return class_vectors([np.stack([found[text] for text in of]) for of in said]), space.classes(space.sets[0])


def _encoded(lab: Lab, listed: Sequence[Picture]) -> Generator[Event, None, list[NDArray[np.float32]]]:
    lab.total = len(lab.test) * (1 + len(listed))
    images = [(yield from lab.encode("plain", lab.test, lab.read))]
    for each in listed:
        draw = lab.overlay(each.word, TEXT if each.kind == NONSENSE else each.kind)
        images.append((yield from lab.encode(f"{each.kind} {each.word}", lab.test, draw)))
    return images


def _cosines(by_word: Floats, by_class: Floats, listed: Sequence[Picture]) -> Cosines:
    places: dict[str, list[int]] = {}
    for place, each in enumerate(listed, start=1):
        places.setdefault(each.kind, []).append(place)
    return Cosines(
        plain=by_word[0],
        drawn={kind: by_word[of] for kind, of in places.items()},
        class_plain=by_class[0],
        class_drawn={kind: by_class[of] for kind, of in places.items()},
    )
