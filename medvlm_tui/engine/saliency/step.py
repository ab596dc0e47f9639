"""Saliency of a classifier: RISE on encoder + scaler + SVM, for hold-out images."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.images.geometry import view_of
from medvlm_tui.engine.saliency.explained_images import Explained, estimated, half_maps, prepare
from medvlm_tui.engine.saliency.masking import score_chunk
from medvlm_tui.engine.saliency.masks import CHUNK
from medvlm_tui.engine.saliency.preview import Preview
from medvlm_tui.engine.saliency.quality import (
    STEPS,
    Regions,
    is_flat,
    map_quality,
    perturbation_curves,
    quality_table,
    sample_regions,
    stability,
)
from medvlm_tui.engine.saliency.rise import Estimate, relative_error
from medvlm_tui.engine.saliency.shares import shared
from medvlm_tui.engine.saliency.stored_scores import StoredScores
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.measures.map_noise import mostly_noise
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.records.saliency import ExplainedImage, MapQuality, SaliencyRecord
from medvlm_tui.stages.saliency import SALIENCY

Floats = NDArray[np.float64]


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Explain the chosen images; goes on from the ranges of masks that an interrupted run has stored."""
    begun = time.monotonic()
    params = params_of(SaliencyParams, job.step.params)
    images = prepare(job, context, params)
    scores = yield from _scores(images, params, job, context)
    found = [estimated(images, params, scores[image], image) for image in range(len(images.samples))]
    items, regions = [], [view_regions(job, sample) for sample in images.samples]
    for image, (item, one, region) in enumerate(zip(_items(images, found), found, regions, strict=True)):
        context.check()
        explained = int(images.maps_of[image][0])
        curves = perturbation_curves(images.masking, image, one.maps[0], explained, images.scaling)
        halves = half_maps(images, params, scores[image], image)
        measured = MapQuality(**map_quality(one.maps[0], region), **curves, stability=stability(halves))
        items.append(replace(item, quality=measured))
    record = replace(
        _record(images, params, items, scores.shape[1]),
        encoder=job.encoder.digest,
        probe=job.inputs["probe"],
        seconds=time.monotonic() - begun,
    )
    encoder = images.masking.encoder
    arrays: dict[str, NDArray[Any]] = {
        "images": np.stack([encoder.display(pixels) for pixels in images.masking.pixels]),
        "maps": np.stack([one.maps[0] for one in found]).astype(np.float32),
        "errors": np.stack([one.errors[0] for one in found]).astype(np.float32),
        "class_maps": np.stack([one.maps for one in found]).astype(np.float32),
        "scores": scores,
        "lesions": np.stack([region.lesion for region in regions]),
    }
    context.store.put_result(job.step.key, arrays, record)
    stored_scores(job, context, params, images).leave_to_result(scores.shape[1])
    shown = SALIENCY.summary(record)
    yield ResultReady(job.step.id, "saliency", job.step.key, job.step.model, job.step.dataset, shown)


def stored_scores(job: CellJob, context: StepContext, params: SaliencyParams, images: Explained) -> StoredScores:
    """Return where the scores of this job's masked images lie, named by all they depend on but their number."""
    masks = [params.cells, params.probability, params.seed, params.estimator == "reduced", params.fill]
    digests = [[sample.id, sample.digest] for sample in images.samples]
    prompts = [[*params.prompts, job.step.params["text"]]] if params.prompts else []
    depends = (job.encoder.digest, job.inputs["probe"], masks, *prompts)
    return StoredScores.of(context.store, job.step.key, digests, *depends)


def view_regions(job: CellJob, sample: Sample) -> Regions:
    """Return the sample's lesion and text boxes in the pixels that the model sees."""
    return sample_regions(sample, lambda size: view_of(job.model.preprocess, size), job.request.window)


def ranges(masks: int) -> Iterator[tuple[int, int]]:
    """Yield (chunk, masks of it) of the first `masks` masks."""
    for chunk, begin in enumerate(range(0, masks, CHUNK)):
        yield chunk, min(CHUNK, masks - begin)


def _scores(
    images: Explained, params: SaliencyParams, job: CellJob, context: StepContext
) -> Generator[Event, None, Floats]:
    """Yield progress and previews of the maps; return the scores (q, N, k), fewer where they were good enough."""
    stored = stored_scores(job, context, params, images)
    q, k = images.scores.shape
    total, fresh, started = q * params.masks, 0, time.monotonic()
    preview, whole = Preview(job, context, images, params), np.empty((q, 0, k))
    machines = devices.every(job.request.device, job.encoder.precision)
    missing = _missing(stored, params, (q, k)) if len(machines) > 1 else []
    with shared(job, context, machines, missing) as others:
        for chunk, count in ranges(params.masks):
            context.check()
            yield from others.wait(chunk)
            before, part = whole.shape[1], None
            for part in score_chunk(images.masking, chunk, (q, count, k), stored, context.check):
                done = q * before + sum(part.known)
                rate = (fresh + part.fresh) / max(time.monotonic() - started, 1e-9)
                yield _progress(job, done, total, rate)
                if preview.due() and done < total:
                    yield preview.store(whole, part, done)
            assert part is not None
            fresh += q * count if chunk in missing else part.fresh
            whole = np.concatenate([whole, part.scores], axis=1)
            if params.stop_error and whole.shape[1] < params.masks and _good_enough(images, params, whole):
                break
    preview.discard()
    return whole


def _missing(stored: StoredScores, params: SaliencyParams, shape: tuple[int, int]) -> list[int]:
    """Return the ranges that are not stored for every one of the q images with k scores."""
    q, k = shape
    return [
        chunk
        for chunk, count in ranges(params.masks)
        if any(stored.get(image, chunk, (count, k)) is None for image in range(q))
    ]


def _good_enough(images: Explained, params: SaliencyParams, scores: Floats) -> bool:
    """Return whether every image's map is as exact as was asked."""
    found = (estimated(images, params, scores[image], image) for image in range(len(scores)))
    return all(relative_error(one).max() <= params.stop_error for one in found)


def _progress(job: CellJob, done: int, total: int, rate: float) -> StepProgress:
    return StepProgress(job.step.id, done, total, rate, (total - done) / rate if rate > 0 else None, "masked images")


def _items(images: Explained, found: Sequence[Estimate]) -> list[ExplainedImage]:
    """Return what there is to say of each image but the quality of its map."""
    names = images.names
    return [
        ExplainedImage(
            image=sample.id,
            label=names[label],
            predicted=names[predicted],
            explained=names[explained[0]],
            explained_classes=tuple(names[c] for c in explained),
            score=float(scores[explained[0]]),
            similarities={text: float(scores[len(images.classes) + p]) for p, text in enumerate(images.prompts)},
            **_noise(one),
        )
        for sample, label, predicted, explained, scores, one in zip(
            images.samples, images.labels, images.predicted, images.maps_of, images.scores, found, strict=True
        )
    ]


def _noise(found: Estimate) -> dict[str, Any]:
    """Return how sure the first of an image's maps is; a flat one has nothing to be sure of."""
    error, flat = float(relative_error(found)[0]), is_flat(found.maps[0])
    known = error if np.isfinite(error) else None
    return {"relative_error": known, "constant": flat, "mostly_noise": not flat and mostly_noise(known)}


def _record(images: Explained, params: SaliencyParams, items: Sequence[ExplainedImage], masks: int) -> SaliencyRecord:
    return SaliencyRecord(
        items=tuple(items),
        quality=quality_table(items),
        explained="the classes asked for" if params.classes else "the predicted class",
        curve_points=STEPS + 1,
        masks=masks,
        masks_asked=params.masks,
        params=params,
        cells=params.cells,
        probability=params.probability,
        seed=params.seed,
        baseline=params.fill,
        estimator=params.estimator,
        offset="none" if params.estimator == "plain" else "the mean score is left out: cov(score, mask) / p",
        classes=tuple(images.classes),
        device=images.masking.encoder.device,
        batch_size=images.masking.batch_size,
        threads=torch.get_num_threads(),
        versions=versions("numpy", "torch"),
    )
