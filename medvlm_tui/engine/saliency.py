"""What a classifier looks at: RISE on encoder + scaler + SVM, for hold-out images."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.events import BlockStored, Event, ResultReady, StepProgress
from medvlm_tui.core.params import SaliencyParams
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.store import StoredResult
from medvlm_tui.core.text import clean
from medvlm_tui.engine import devices, summaries
from medvlm_tui.engine.classifier import Classifier, Scaler
from medvlm_tui.engine.datasets.pixels import read_sample
from medvlm_tui.engine.encoders.base import Encoder
from medvlm_tui.engine.encoders.families import load_encoder
from medvlm_tui.engine.heap import keep_freed_memory
from medvlm_tui.engine.images.geometry import view_of
from medvlm_tui.engine.masks import CHUNK, MaskStream
from medvlm_tui.engine.rise import Estimate, estimate, relative_error
from medvlm_tui.engine.saliency_params import check_params, explained_classes
from medvlm_tui.engine.saliency_quality import Regions, map_quality, perturbation_curves, sample_regions
from medvlm_tui.engine.saliency_scores import Masking, StoredScores, hidden_pixels, score_chunk
from medvlm_tui.engine.step_inputs import earlier_result, feature_table, params_of
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.versions import versions
from medvlm_tui.errors import MedvlmError, UsageError

Floats = NDArray[np.float64]
_SHOWN_IDS = 3


@dataclass(frozen=True, slots=True)
class Explained:
    """The images of one job and what the classifier says of them."""

    masking: Masking
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    labels: tuple[int, ...]
    scores: Floats
    """(q, k) decision values of the unmasked images."""
    maps_of: tuple[tuple[int, ...], ...]
    """For each image the classes to explain; the predicted one when none was named."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(q,) the class with the largest decision value."""
        return np.asarray(self.scores.argmax(axis=1))


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Explain the chosen images; goes on from the ranges of masks that an interrupted run has stored."""
    begun = time.monotonic()
    params = params_of(SaliencyParams, job.step.params)
    keep_freed_memory()
    images = prepare(job, context, params)
    scores = yield from _scores(images, params, job, context)
    found = [_estimate(images, params, scores, image) for image in range(len(images.samples))]
    items, regions = _items(images, found), [view_regions(job, sample) for sample in images.samples]
    for item, one, region, image in zip(items, found, regions, range(len(items)), strict=True):
        context.check()
        curves = perturbation_curves(images.masking, image, one.maps[0], int(images.maps_of[image][0]))
        item["quality"] = {**map_quality(one.maps[0], region), **curves}
    record = {**_description(images, params, scores.shape[1]), "items": items, "seconds": time.monotonic() - begun}
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
    stored_scores(job, context, params, images).discard()
    shown = summaries.of_record("saliency", record)
    yield ResultReady(job.step.id, "saliency", job.step.key, job.step.model, job.step.dataset, shown)


def prepare(job: Job, context: StepContext, params: SaliencyParams) -> Explained:
    """Read, preprocess and classify the images of a job; raises MedvlmError for what cannot be explained."""
    check_params(params)
    probe = earlier_result(job, context, "probe")
    ids, classes = feature_table(job, context).ids, list(probe.record["classes"])
    asked = explained_classes(params, classes)
    rows = chosen_rows(params, ids, probe)
    machine = devices.choose(job.request.device, job.encoder.precision)
    encoder = load_encoder(job.model, job.weights, job.encoder.feature, machine.device, machine.precision)
    samples = {sample.id: sample for sample in job.dataset.samples}
    chosen = tuple(samples[ids[row]] for row in rows)
    pixels = torch.stack([encoder.preprocess(read_sample(sample)) for sample in chosen])
    masking = _masking(job, params, encoder, final_classifier(probe), pixels)
    scores = _plain_scores(masking)
    explained = tuple(tuple(asked) or (int(row.argmax()),) for row in scores)
    labels = tuple(int(probe.arrays["labels"][row]) for row in rows)
    return Explained(masking, chosen, tuple(classes), labels, scores, explained)


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


def stored_scores(job: Job, context: StepContext, params: SaliencyParams, images: Explained) -> StoredScores:
    """Return where the scores of this job's masked images lie, named by all they depend on but their number."""
    masks = [params.cells, params.probability, params.seed, params.estimator == "reduced", params.fill]
    digests = [[sample.id, sample.digest] for sample in images.samples]
    return StoredScores.of(context.store, job.encoder.digest, job.inputs["probe"], digests, masks)


def score_share(job: Job, context: StepContext, worker: int, workers: int) -> Iterator[int]:
    """Score every `workers`-th range of masks and store it, for another process to use; yields each range's number."""
    params = params_of(SaliencyParams, job.step.params)
    images = prepare(job, context, params)
    stored = stored_scores(job, context, params, images)
    for chunk, count in list(_ranges(params.masks))[worker::workers]:
        shape = (len(images.samples), count, len(images.classes))
        if stored.get(chunk, shape) is None:
            for _ in score_chunk(images.masking, chunk, shape, stored, context.check):
                context.check()
        yield chunk


def view_regions(job: Job, sample: Sample) -> Regions:
    """Return the sample's lesion and text boxes in the pixels that the model sees."""
    return sample_regions(sample, lambda size: view_of(job.model.preprocess, size))


def _held_out_row(name: str, ids: Sequence[str], hold_out: NDArray[np.int64]) -> int:
    held = [ids[row] for row in hold_out]
    if name in held:
        return int(hold_out[held.index(name)])
    where = "is in the training part" if name in ids else "is not among the dataset's images"
    some = ", ".join(clean(known) for known in held[:_SHOWN_IDS])
    raise UsageError(
        f"image {clean(name)} {where}: only hold-out images are explained", f"hold-out images: {some}, ..."
    )


def _masking(
    job: Job, params: SaliencyParams, encoder: Encoder, classifier: Classifier, pixels: torch.Tensor
) -> Masking:
    if classifier.coef.shape[1] != job.model.dim(job.encoder.feature):
        raise MedvlmError(
            f"the probe was fitted to {classifier.coef.shape[1]} dimensions, {job.encoder.feature} has "
            f"{job.model.dim(job.encoder.feature)}",
            "run the probe on this feature first",
        )
    height, width = pixels.shape[-2:]
    paired = params.estimator == "reduced"
    stream = MaskStream(params.cells, params.probability, params.seed, height, width, paired)
    moved = pixels.to(encoder.device)
    batch_size = job.request.batch_size or devices.default_batch_size(encoder.device, width)
    return Masking(encoder, classifier, stream, moved, hidden_pixels(params.fill, encoder, moved), batch_size)


def _plain_scores(masking: Masking) -> Floats:
    parts, masking.batch_size = devices.with_back_off(
        lambda part: masking.encoder.encode(torch.stack(list(part))), list(masking.pixels), masking.batch_size
    )
    return masking.classifier.scores(torch.cat(parts).numpy())


def _ranges(masks: int) -> Iterator[tuple[int, int]]:
    """Yield (chunk, masks of it) of the first `masks` masks."""
    for chunk, begin in enumerate(range(0, masks, CHUNK)):
        yield chunk, min(CHUNK, masks - begin)


def _scores(
    images: Explained, params: SaliencyParams, job: Job, context: StepContext
) -> Generator[Event, None, Floats]:
    """Yield progress, and a stored preview of the maps after each range; return the scores (q, N, k)."""
    stored = stored_scores(job, context, params, images)
    q, k = images.scores.shape
    total, done, fresh, started = q * params.masks, 0, 0, time.monotonic()
    parts: list[Floats] = []
    for chunk, count in _ranges(params.masks):
        context.check()
        part = stored.get(chunk, (q, count, k))
        if part is None:
            for here, scored in score_chunk(images.masking, chunk, (q, count, k), stored, context.check):
                part = scored
                seconds = max(time.monotonic() - started, 1e-9)
                yield _progress(job, done + here, total, (fresh + here) / seconds)
            fresh += q * count
        assert part is not None
        parts.append(part)
        done += q * count
        if done < total:
            preview = [_estimate(images, params, np.concatenate(parts, axis=1), image) for image in range(q)]
            yield _preview(job, context, preview)
            errors = [relative_error(one).max() for one in preview]
            if params.stop_error and max(errors) <= params.stop_error:
                break
    context.store.discard(f"result/{preview_key(job.step.key)}")
    return np.concatenate(parts, axis=1)


def preview_key(key: str) -> str:
    """Return the key of the maps so far of a result that is not finished."""
    return f"{key}-so-far"


def _preview(job: Job, context: StepContext, found: Sequence[Estimate]) -> Event:
    key = preview_key(job.step.key)
    maps = np.stack([one.maps[0] for one in found]).astype(np.float32)
    context.store.discard(f"result/{key}")
    context.store.put_result(key, {"maps": maps}, {"masks": found[0].masks})
    return BlockStored(job.step.id, len(found), key)


def _progress(job: Job, done: int, total: int, rate: float) -> StepProgress:
    return StepProgress(job.step.id, done, total, rate, (total - done) / rate if rate > 0 else None, "masked images")


def _estimate(images: Explained, params: SaliencyParams, scores: Floats, image: int) -> Estimate:
    return estimate(images.masking.stream, scores[image][:, list(images.maps_of[image])], params.estimator)


def _items(images: Explained, found: Sequence[Estimate]) -> list[dict[str, Any]]:
    names = images.classes
    return [
        {
            "image": sample.id,
            "label": names[label],
            "predicted": names[predicted],
            "explained": names[explained[0]],
            "explained_classes": [names[c] for c in explained],
            "score": float(scores[explained[0]]),
            "relative_error": _finite(float(relative_error(one)[0])),
            "constant": bool(np.ptp(one.maps[0]) <= 1e-12),
        }
        for sample, label, predicted, explained, scores, one in zip(
            images.samples, images.labels, images.predicted, images.maps_of, images.scores, found, strict=True
        )
    ]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _description(images: Explained, params: SaliencyParams, masks: int) -> dict[str, Any]:
    encoder = images.masking.encoder
    return {
        "masks": masks,
        "masks_asked": params.masks,
        "cells": params.cells,
        "probability": params.probability,
        "seed": params.seed,
        "baseline": params.fill,
        "estimator": params.estimator,
        "offset": "none" if params.estimator == "plain" else "the mean score is left out: cov(score, mask) / p",
        "classes": list(images.classes),
        "device": encoder.device,
        "versions": versions("numpy", "torch"),
    }
