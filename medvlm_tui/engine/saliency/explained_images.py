"""Which images RISE explains, and everything about them that their maps depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import FeatureTable, Sample
from medvlm_tui.core.store.store import Stored
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.images.decoders import as_image, decoded
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.probe.classifier import Classifier, final_classifier, final_scaling
from medvlm_tui.engine.saliency.checks import check_params, explained_classes
from medvlm_tui.engine.saliency.masking import Masking, Scorer, hidden_pixels
from medvlm_tui.engine.saliency.masks import CHUNK, MaskStream
from medvlm_tui.engine.saliency.prompts import with_prompts
from medvlm_tui.engine.saliency.rise import Estimate, estimate
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_memory import naming_shortage, with_back_off
from medvlm_tui.engine.step.inputs import earlier_result, feature_table
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError, UsageError
from medvlm_tui.measures.calibration import Platt
from medvlm_tui.measures.draws import draw_of_class
from medvlm_tui.stages.params.saliency import PROMPT, SaliencyParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.probe import ProbeRecord

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
    """(q, k + p) decision values of the unmasked images, and their cosines with the prompts."""
    maps_of: tuple[tuple[int, ...], ...]
    """For each image the columns of `scores` to explain: the classes, the predicted one when none was named, then the
    prompts."""
    scaling: Platt
    """From decision values to probabilities, as the probe made it for its final classifier."""
    prompts: tuple[str, ...] = ()

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(q,) the class with the largest decision value."""
        return np.asarray(self.scores[:, : len(self.classes)].argmax(axis=1))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what the columns of `scores` score."""
        return (*self.classes, *(f"{PROMPT}{text}" for text in self.prompts))


def estimated(images: Explained, params: SaliencyParams, scores: Floats, image: int) -> Estimate:
    """Return the maps of an image's explained classes and prompts from its scores (N, k + p)."""
    return estimate(images.masking.stream, scores[:, list(images.maps_of[image])], params.estimator)


def half_maps(images: Explained, params: SaliencyParams, scores: Floats, image: int) -> list[Floats]:
    """Return two maps (H, W) of an image from its first and its second half of the ranges of masks, as two seeds would
    give them; none where there are fewer than two whole ranges."""
    half = len(scores) // CHUNK // 2
    if half == 0:
        return []
    series, chosen = scores[:, [images.maps_of[image][0]]], slice(half * CHUNK, 2 * half * CHUNK)
    first = images.masking.stream
    second = replace(first, first_chunk=half)
    parts = ((first, series[: half * CHUNK]), (second, series[chosen]))
    return [estimate(stream, part, params.estimator).maps[0] for stream, part in parts]


def prepare(job: CellJob, context: StepContext, params: SaliencyParams) -> Explained:
    """Read, preprocess and classify the images of a job; raises MedvlmError for what cannot be explained."""
    check_params(params)
    probe = earlier_result(job, context, PROBE)
    table, classes = feature_table(job, context), list(probe.record.classes)
    asked = explained_classes(params, classes)
    rows, ids = chosen_rows(params, table.ids, probe), table.ids
    classifier = _classifier(job, probe, table)
    machine = devices.choose(job.request.device, job.encoder.precision)
    encoders = context.resources.of(Encoders)
    encoder = encoders.get(job.model, job.weights, job.encoder.feature, machine.device, machine.precision)
    samples = {sample.id: sample for sample in job.dataset.samples}
    chosen = tuple(samples[ids[row]] for row in rows)
    read = partial(read_sample, window=job.request.window)
    pixels = torch.stack([encoder.preprocess(as_image(found)) for found in decoded(chosen, read)])
    scorer = with_prompts(classifier, params.prompts, job, context) if params.prompts else classifier
    masking = _masking(job, params, encoder, scorer, pixels)
    scores, k = _plain_scores(masking), len(classes)
    texts = tuple(range(k, k + len(params.prompts)))
    explained = tuple((*(asked or (int(row[:k].argmax()),)), *texts) for row in scores)
    labels = tuple(int(probe.arrays["labels"][row]) for row in rows)
    scaling = final_scaling(probe)
    return Explained(masking, chosen, tuple(classes), labels, scores, explained, scaling, params.prompts)


def chosen_rows(params: SaliencyParams, ids: Sequence[str], probe: Stored[ProbeRecord]) -> list[int]:
    """Return the rows to explain, all of them held out; raises UsageError for an id that is not.

    Without ids, the first `images_per_class` of a seeded permutation of each class, so that asking for more
    keeps those already drawn.
    """
    hold_out, labels = probe.arrays["hold_out"], probe.arrays["labels"]
    if params.images:
        return [_held_out_row(name, ids, hold_out) for name in dict.fromkeys(params.images)]
    rows: list[int] = []
    for c in range(len(probe.record.classes)):
        members = hold_out[labels[hold_out] == c]
        rows.extend(draw_of_class(members, c, params.images_per_class, params.seed).tolist())
    return rows


def _held_out_row(name: str, ids: Sequence[str], hold_out: NDArray[np.int64]) -> int:
    held = [ids[row] for row in hold_out]
    if name in held:
        return int(hold_out[held.index(name)])
    where = "is in the training part" if name in ids else "is not among the dataset's images"
    some = ", ".join(clean(known) for known in held[:_SHOWN_IDS])
    raise UsageError(
        f"image {clean(name)} {where}: only hold-out images are explained", f"hold-out images: {some}, ..."
    )


def _classifier(job: CellJob, probe: Stored[ProbeRecord], table: FeatureTable) -> Classifier:
    """Return the probe's final classifier; raises MedvlmError when it was fitted to other features than the table's."""
    classifier, held = final_classifier(probe), probe.arrays["hold_out"]
    wanted, hint = job.model.dim(job.encoder.feature), "run the probe on this feature first"
    if classifier.coef.shape[1] != wanted:
        fitted = classifier.coef.shape[1]
        raise MedvlmError(f"the probe was fitted to {fitted} dimensions, {job.encoder.feature} has {wanted}", hint)
    known, found = probe.arrays["final_scores"], classifier.scores(table.matrix[held])
    if not np.allclose(found, known, rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(known).max()))):
        raise MedvlmError(f"the probe was fitted to another feature than {job.encoder.feature}", hint)
    return classifier


def _masking(
    job: CellJob, params: SaliencyParams, encoder: Encoder, classifier: Scorer, pixels: torch.Tensor
) -> Masking:
    height, width = pixels.shape[-2:]
    paired = params.estimator == "reduced"
    stream = MaskStream(params.cells, params.probability, params.seed, height, width, paired)
    batch_size = job.request.batch_size or devices.default_batch_size(encoder.device, width)
    with naming_shortage(f"{len(pixels)} images to explain", encoder.device):
        moved = pixels.to(encoder.device)
        hidden = hidden_pixels(params.fill, encoder, moved)
    return Masking(encoder, classifier, stream, moved, hidden, batch_size)


def _plain_scores(masking: Masking) -> Floats:
    parts, masking.batch_size = with_back_off(
        lambda part: masking.encoder.encode(torch.stack(list(part))), list(masking.pixels), masking.batch_size
    )
    return masking.classifier.scores(torch.cat(parts).numpy())
