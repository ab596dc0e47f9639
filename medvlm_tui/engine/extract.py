"""A dataset through an encoder: feature rows journalled in blocks, then sealed as one table.

A run that dies goes on at the last stored block; an image that several samples share is computed once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.events import BlockStored, DeviceStatus, Event, Log, ResultReady, StepProgress
from medvlm_tui.core.specs import Dataset, FeatureTable, Sample
from medvlm_tui.core.text import clean
from medvlm_tui.engine import devices
from medvlm_tui.engine.datasets.pixels import read_sample
from medvlm_tui.engine.encoders.base import Encoder
from medvlm_tui.engine.encoders.families import load_encoder
from medvlm_tui.engine.images.loading import default_workers, prepared
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.versions import versions
from medvlm_tui.errors import ImageError, MedvlmError

BLOCK_IMAGES = 256
_RATE_WINDOW_S = 10.0
_EVENT_INTERVAL_S = 0.1
_LIBRARIES = ("torch", "torchvision", "timm", "open_clip_torch", "transformers", "pillow", "numpy")

Row = NDArray[np.float32]


@dataclass
class _Progress:
    """Counts images, and says at most ten times a second how it goes."""

    step: str
    total: int
    done: int
    _times: deque[tuple[float, int]] = field(default_factory=deque)
    _said_at: float = 0.0

    def add(self, images: int) -> Iterator[StepProgress]:
        now = time.monotonic()
        self.done += images
        self._times.append((now, self.done))
        while len(self._times) > 2 and now - self._times[0][0] > _RATE_WINDOW_S:
            self._times.popleft()
        if now - self._said_at >= _EVENT_INTERVAL_S or self.done == self.total:
            self._said_at = now
            yield self._event()

    def start(self) -> StepProgress:
        self._times.append((time.monotonic(), self.done))
        return self._event()

    def _event(self) -> StepProgress:
        (begin, first), (end, last) = self._times[0], self._times[-1]
        rate = (last - first) / (end - begin) if end > begin else 0.0
        return StepProgress(self.step, self.done, self.total, rate, (self.total - self.done) / rate if rate else None)


@dataclass
class _Work:
    """The state of one extraction."""

    job: Job
    context: StepContext
    encoder: Encoder
    batch_size: int
    workers: int
    rows: dict[str, Row]
    """Image digest -> features."""
    failed: dict[str, str] = field(default_factory=dict)
    """Image digest -> reason."""


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Extract the features of `job.dataset` with `job.model` and seal them under `job.step.key`.

    Raises MedvlmError when no image can be read or a feature is not finite, Cancelled between batches.
    """
    began = time.monotonic()
    device = devices.choose(job.request.device, job.encoder.precision)
    batch_size = job.request.batch_size or devices.default_batch_size(device.device, job.model.preprocess.size_px)
    rows = stored_rows(job, context)
    encoder = load_encoder(job.model, job.weights, job.encoder.feature, device.device, device.precision)
    yield DeviceStatus(device.device, device.name, device.precision, batch_size, memory_total_gb=device.memory_gb)
    work = _Work(job, context, encoder, batch_size, job.request.workers or default_workers(), rows)
    todo = pending(job.dataset, rows)
    loaded = time.monotonic()
    yield from _extract(work, todo)
    rate = len(todo) / max(time.monotonic() - loaded, 1e-9) if todo else 0.0
    table = _table(work, _provenance(work, device, len(todo), rate, time.monotonic() - began))
    context.store.seal(job.step.key, table)
    n, dim = table.matrix.shape
    summary = {"rows": n, "failed": len(table.failed), "dim": dim, "images_per_second": rate}
    yield ResultReady(job.step.id, "extract", job.step.key, job.model.id, job.dataset.spec.id, summary)


def stored_rows(job: Job, context: StepContext) -> dict[str, Row]:
    """Return the rows that the store already has for this encoder and this dataset's images."""
    wanted = {sample.digest for sample in job.dataset.samples}
    found: dict[str, Row] = {}
    for digests, block in context.store.blocks(job.encoder, wanted):
        found.update((digest, row) for digest, row in zip(digests, block, strict=True) if digest in wanted)
    return found


def pending(dataset: Dataset, rows: Mapping[str, Row]) -> list[Sample]:
    """Return one sample for each image that has no row yet, in the dataset's order."""
    if unread := [sample.id for sample in dataset.samples if not sample.digest]:
        raise MedvlmError(f"{len(unread)} images have no digest, {clean(unread[0])} first", "check the dataset again")
    first: dict[str, Sample] = {}
    for sample in dataset.samples:
        if sample.digest not in rows:
            first.setdefault(sample.digest, sample)
    return list(first.values())


def _extract(work: _Work, todo: Sequence[Sample]) -> Iterator[Event]:
    images = len({sample.digest for sample in work.job.dataset.samples})
    progress = _Progress(work.job.step.id, images, images - len(todo))
    yield progress.start()

    def prepare(sample: Sample) -> torch.Tensor:
        return work.encoder.preprocess(read_sample(sample))

    with closing(prepared(todo, prepare, work.workers, ahead=2 * work.batch_size)) as source:
        for begin in range(0, len(todo), BLOCK_IMAGES):
            size = min(BLOCK_IMAGES, len(todo) - begin)
            yield from _block(work, islice(source, size), progress)


def _block(
    work: _Work, source: Iterator[tuple[Sample, torch.Tensor | ImageError]], progress: _Progress
) -> Iterator[Event]:
    """Encode and store one block; a batch never crosses its end."""
    digests: list[str] = []
    parts: list[Row] = []
    while drawn := list(islice(source, work.batch_size)):
        work.context.check()
        batch: list[tuple[Sample, torch.Tensor]] = []
        for sample, result in drawn:
            if isinstance(result, ImageError):
                work.failed[sample.digest] = result.message
                yield Log("warning", f"{clean(sample.id)} is left out: {result.message}", work.job.step.id)
            else:
                batch.append((sample, result))
        if batch:
            parts.append(_encode(work, batch))
            digests += [sample.digest for sample, _ in batch]
        yield from progress.add(len(drawn))
    if digests:
        block = np.concatenate(parts)
        work.rows.update(zip(digests, block, strict=True))
        key = work.context.store.put_block(work.job.encoder, digests, block)
        yield BlockStored(work.job.step.id, len(digests), key)


def _encode(work: _Work, batch: Sequence[tuple[Sample, torch.Tensor]]) -> Row:
    tensors = [pixels for _, pixels in batch]
    parts, work.batch_size = devices.with_back_off(
        lambda some: work.encoder.encode(torch.stack(tuple(some))), tensors, work.batch_size, _release
    )
    rows: Row = torch.cat(parts).numpy()
    if not np.isfinite(rows).all():
        bad = [sample.id for (sample, _), row in zip(batch, rows, strict=True) if not np.isfinite(row).all()]
        raise MedvlmError(
            f"{work.job.model.id} gave features that are not finite for {len(bad)} images: "
            f"{', '.join(clean(name) for name in bad[:5])}",
            "run with --precision fp32; if it stays, the weights are damaged",
        )
    return rows


def _release() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _table(work: _Work, provenance: Mapping[str, Any]) -> FeatureTable:
    samples = work.job.dataset.samples
    kept = [sample for sample in samples if sample.digest in work.rows]
    if not kept:
        reason = next(iter(work.failed.values()), "the dataset is empty")
        raise MedvlmError(f"none of the {len(samples)} images could be read: {reason}", "check the dataset's files")
    return FeatureTable(
        encoder=work.job.encoder,
        dataset_digest=work.job.dataset.digest,
        ids=tuple(sample.id for sample in kept),
        labels=tuple(sample.label for sample in kept),
        groups=tuple(sample.group for sample in kept),
        matrix=np.stack([work.rows[sample.digest] for sample in kept]),
        classes=work.job.dataset.classes,
        failed={sample.id: work.failed[sample.digest] for sample in samples if sample.digest in work.failed},
        provenance=provenance,
    )


def _provenance(work: _Work, device: devices.Device, computed: int, rate: float, seconds: float) -> dict[str, Any]:
    return {
        "versions": versions(*_LIBRARIES),
        "device": device.device,
        "device_name": device.name,
        "precision": work.job.encoder.precision,
        "batch_size": work.batch_size,
        "workers": work.workers,
        "threads": torch.get_num_threads(),
        "parameters": work.encoder.parameters,
        "weights_digest": work.job.weights.digest,
        "source": work.job.model.source,
        "revision": work.job.model.revision,
        "computed": computed,
        "seconds": round(seconds, 3),
        "images_per_second": round(rate, 3),
    }
