"""What a classifier looks at: RISE on encoder + scaler + SVM, for hold-out images."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core import packing
from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.params import SaliencyParams
from medvlm_tui.core.store import StoredResult
from medvlm_tui.core.text import clean
from medvlm_tui.engine import devices, summaries
from medvlm_tui.engine.classifier import Classifier, Scaler
from medvlm_tui.engine.datasets.pixels import read_sample
from medvlm_tui.engine.encoders.base import Encoder
from medvlm_tui.engine.encoders.families import load_encoder
from medvlm_tui.engine.masks import CHUNK, MaskStream
from medvlm_tui.engine.rise import Accumulator
from medvlm_tui.engine.step_inputs import earlier_result, feature_table, params_of
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.versions import versions
from medvlm_tui.errors import CorruptEntryError, UsageError

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
# A front end redraws about ten times a second at the most.
PROGRESS_S = 0.1
_SHOWN_IDS = 3


@dataclass(slots=True)
class Work:
    """One job's network, classifier and images; the batch size shrinks when the device runs out of memory."""

    encoder: Encoder
    classifier: Classifier
    pixels: torch.Tensor
    """(q, 3, H, W) on the device."""
    scores: Floats
    """(q, k) decision values of the unmasked images."""
    explained: NDArray[np.int64]
    """(q,) the predicted class of each."""
    batch_size: int
    last_progress_s: float = field(default_factory=time.monotonic)


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Explain the chosen images; goes on from the chunks that an interrupted run has stored."""
    begun = time.monotonic()
    params = params_of(SaliencyParams, job.step.params)
    _check(params)
    probe = earlier_result(job, context, "probe")
    ids = feature_table(job, context).ids
    chosen = chosen_rows(params, ids, probe)
    machine = devices.choose(job.request.device, job.encoder.precision)
    encoder = load_encoder(job.model, job.weights, job.encoder.feature, machine.device, machine.precision)
    work = _prepare(job, encoder, final_classifier(probe), [ids[row] for row in chosen])
    stream = MaskStream(params.cells, params.probability, params.seed, *work.pixels.shape[-2:])
    sums, scores = yield from _chunks(work, stream, params.masks, job, context)
    record = {
        "items": _items(work, probe, chosen, ids),
        "masks": params.masks,
        "cells": params.cells,
        "probability": params.probability,
        "seed": params.seed,
        "baseline": params.baseline,
        "estimator": "plain",
        "classes": list(probe.record["classes"]),
        "device": machine.name,
        "precision": machine.precision,
        "versions": versions("numpy", "torch"),
        "seconds": time.monotonic() - begun,
    }
    images = np.stack([encoder.display(pixels) for pixels in work.pixels])
    arrays: Arrays = {"images": images, "maps": sums.maps(), "errors": sums.errors(), "scores": scores}
    context.store.put_result(job.step.key, arrays, record)
    for chunk in range(-(-params.masks // CHUNK)):
        context.store.discard(_chunk_key(job, chunk))
    shown = summaries.of_record("saliency", record)
    yield ResultReady(job.step.id, "saliency", job.step.key, job.step.model, job.step.dataset, shown)


def chosen_rows(params: SaliencyParams, ids: Sequence[str], probe: StoredResult) -> list[int]:
    """Return the rows to explain, all of them held out; raises UsageError for an id that is not.

    Without ids, the first `images_per_class` of a seeded permutation of each class, so that asking for more
    keeps those already drawn.
    """
    hold_out, labels = probe.arrays["hold_out"], probe.arrays["labels"]
    if params.images:
        return [_held_out_row(name, ids, hold_out) for name in dict.fromkeys(params.images)]
    rows: list[int] = []
    for c in range(len(probe.record["classes"])):
        members = hold_out[labels[hold_out] == c]
        order = np.random.default_rng([params.seed, c]).permutation(len(members))
        rows.extend(int(members[i]) for i in order[: params.images_per_class])
    return rows


def final_classifier(probe: StoredResult) -> Classifier:
    """Return the classifier that was fitted on everything but the hold-out."""
    arrays = probe.arrays
    scaler = Scaler(arrays["final_mean"], arrays["final_scale"])
    return Classifier(scaler, arrays["final_coef"], arrays["final_intercept"])


def _check(params: SaliencyParams) -> None:
    if params.masks < 1 or params.cells < 1 or not 0 < params.probability <= 1 or params.seed < 0:
        raise UsageError(
            f"RISE with {params.masks} masks of {params.cells} x {params.cells} cells, probability "
            f"{params.probability:g} and seed {params.seed} cannot be computed",
            "choose at least one mask and one cell, a probability in (0, 1], a seed of 0 or more",
        )
    if not params.images and params.images_per_class < 1:
        raise UsageError("no image to explain", "ask for at least one image a class, or name images")


def _held_out_row(name: str, ids: Sequence[str], hold_out: NDArray[np.int64]) -> int:
    held = [ids[row] for row in hold_out]
    if name in held:
        return int(hold_out[held.index(name)])
    where = "is in the training part" if name in ids else "is not among the dataset's images"
    some = ", ".join(clean(known) for known in held[:_SHOWN_IDS])
    raise UsageError(
        f"image {clean(name)} {where}: only hold-out images are explained", f"hold-out images: {some}, ..."
    )


def _prepare(job: Job, encoder: Encoder, classifier: Classifier, names: Sequence[str]) -> Work:
    """Read, preprocess and classify the images."""
    samples = {sample.id: sample for sample in job.dataset.samples}
    pixels = torch.stack([encoder.preprocess(read_sample(samples[name])) for name in names])
    batch_size = job.request.batch_size or devices.default_batch_size(encoder.device, pixels.shape[-1])
    parts, batch_size = devices.with_back_off(
        lambda part: encoder.encode(torch.stack(list(part))), list(pixels), batch_size
    )
    scores = classifier.scores(torch.cat(parts).numpy())
    return Work(encoder, classifier, pixels.to(encoder.device), scores, scores.argmax(axis=1), batch_size)


def _items(work: Work, probe: StoredResult, rows: Sequence[int], ids: Sequence[str]) -> list[dict[str, Any]]:
    classes, labels = probe.record["classes"], probe.arrays["labels"]
    return [
        {
            "image": ids[row],
            "label": classes[labels[row]],
            "predicted": classes[int(explained)],
            "explained": classes[int(explained)],
            "score": float(scores[explained]),
        }
        for row, scores, explained in zip(rows, work.scores, work.explained, strict=True)
    ]


def _chunks(
    work: Work, stream: MaskStream, masks: int, job: Job, context: StepContext
) -> Generator[Event, None, tuple[Accumulator, Floats]]:
    """Yield progress; return the Accumulator and the scores (q, masks) of every masked image."""
    sums = Accumulator(len(work.pixels), stream, work.encoder.device)
    scores = np.zeros((len(work.pixels), masks))
    started, resumed = time.monotonic(), 0
    for chunk, begin in enumerate(range(0, masks, CHUNK)):
        context.check()
        part = scores[:, begin : begin + CHUNK]
        drawn = stream.masks(chunk, part.shape[1], work.encoder.device)
        known = _stored_scores(context, _chunk_key(job, chunk), part.shape)
        if known is not None:
            part[:] = known
            resumed += part.size
        else:
            for done in _score(work, drawn, part, context):
                yield _progress(job, begin * len(scores) + done, scores.size, resumed, time.monotonic() - started)
            context.store.put(_chunk_key(job, chunk), packing.pack({"scores": part}, {}))
        sums.add(drawn, part)
    return sums, scores


def _score(work: Work, masks: torch.Tensor, scores: Floats, context: StepContext) -> Iterator[int]:
    """Fill `scores` (q, m); yield now and then how many are done."""
    for image, pixels in enumerate(work.pixels):
        explained = work.explained[image]

        def encode(part: Sequence[int], pixels: torch.Tensor = pixels) -> torch.Tensor:
            return work.encoder.encode(pixels * masks[part[0] : part[-1] + 1, None])

        begin = 0
        while begin < len(masks):
            context.check()
            batch = range(begin, min(begin + work.batch_size, len(masks)))
            parts, work.batch_size = devices.with_back_off(encode, batch, work.batch_size)
            scores[image, batch.start : batch.stop] = work.classifier.scores(torch.cat(parts).numpy())[:, explained]
            begin = batch.stop
            if time.monotonic() - work.last_progress_s >= PROGRESS_S:
                work.last_progress_s = time.monotonic()
                yield image * len(masks) + begin


def _progress(job: Job, done: int, total: int, resumed: int, seconds: float) -> StepProgress:
    rate = (done - resumed) / seconds if seconds > 0 else 0.0
    eta_s = (total - done) / rate if rate > 0 else None
    return StepProgress(job.step.id, done, total, rate, eta_s, unit="masked images")


def _chunk_key(job: Job, chunk: int) -> str:
    return f"rise/{job.step.key}/{chunk:06d}"


def _stored_scores(context: StepContext, key: str, shape: tuple[int, ...]) -> Floats | None:
    """Return the scores of a chunk that an interrupted run has stored, or None."""
    try:
        data = context.store.get(key)
        if data is None:
            return None
        scores = packing.unpack(data)[0]["scores"]
    except CorruptEntryError:
        scores = np.empty(0)
    if scores.shape != shape:
        context.store.discard(key)
        return None
    return scores
