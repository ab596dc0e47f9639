"""A dataset through an encoder: feature rows journalled in blocks, then sealed as one table.

A run that dies goes on at the last stored block; an image that several samples share is computed once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset, FeatureTable, Precision, Sample
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.extract import peak_memory
from medvlm_tui.engine.extract.blocks import (
    BLOCK_IMAGES,
    Extraction,
    Progress,
    Row,
    device_status,
    extract,
    stored_rows,
)
from medvlm_tui.engine.extract.models_ahead import computed_ahead, deals_models, extract_models
from medvlm_tui.engine.extract.shards import extract_sharded
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.records.extract import Provenance

_LIBRARIES = ("torch", "torchvision", "timm", "open_clip_torch", "transformers", "pillow", "numpy")


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Extract the features of `job.dataset` with `job.model` and seal them under `job.step.key`.

    Raises MedvlmError when no image can be read or a feature is not finite, Cancelled between batches.
    """
    began = time.monotonic()
    rows = stored_rows(job, context)
    todo = pending(job.dataset, rows)
    images = len({sample.digest for sample in job.dataset.samples})
    progress = Progress(job.step.id, images, images - len(todo))
    machines = devices.every(job.request.device, job.encoder.precision)
    work = Extraction(job, context, machines[0], todo, progress, rows)
    ahead = computed_ahead(job.step.key) if not todo else None
    if ahead is not None:
        work.machine, work.rate = ahead.machine, ahead.rate
        work.batch_size, work.workers = ahead.batch_size, ahead.workers
        machines = (ahead.machine,)
    if not todo:
        # A label view or a part of images that are all stored: neither decoders nor the model are needed.
        yield device_status(work)
        yield progress.start()
    elif deals_models(work, machines):
        peak_memory.start_counting(work.machine.device)
        yield from extract_models(work, machines)
        machines = machines[:1]
    elif len(machines) > 1 and len(todo) > BLOCK_IMAGES:
        yield from extract_sharded(work, machines)
    else:
        peak_memory.start_counting(work.machine.device)
        yield from extract(work)
    computed = len(todo) if ahead is None else ahead.images
    table = _table(work, _provenance(work, machines, time.monotonic() - began, computed))
    context.store.seal(job.step.key, table)
    n, dim = table.matrix.shape
    summary = {"rows": n, "failed": len(table.failed), "dim": dim, "images_per_second": work.rate}
    yield ResultReady(job.step.id, "extract", job.step.key, job.model.id, job.dataset.spec.id, summary)


def extract_reference(job: CellJob, context: StepContext, load: Callable[[str, Precision], Encoder]) -> Iterator[Event]:
    """Seal the features of `job.dataset` under `job.step.key` by the encoder that `load` gives, on one device.

    `job.encoder` is the key of that encoder's features. Raises as `run` does.
    """
    began = time.monotonic()
    rows = stored_rows(job, context)
    todo = pending(job.dataset, rows)
    images = len({sample.digest for sample in job.dataset.samples})
    machine = devices.every(job.request.device, job.encoder.precision)[0]
    work = Extraction(job, context, machine, todo, Progress(job.step.id, images, images - len(todo)), rows, load=load)
    if todo:
        peak_memory.start_counting(machine.device)
        yield from extract(work)
    provenance = {
        **_provenance(work, [machine], time.monotonic() - began, len(todo)),
        "weights_digest": job.encoder.weights_digest,
    }
    context.store.seal(job.step.key, _table(work, provenance))


def pending(dataset: Dataset, rows: Mapping[str, Row]) -> list[Sample]:
    """Return one sample for each image that has no row yet, in the dataset's order."""
    if unread := [sample.id for sample in dataset.samples if not sample.digest]:
        raise MedvlmError(f"{len(unread)} images have no digest, {clean(unread[0])} first", "check the dataset again")
    first: dict[str, Sample] = {}
    for sample in dataset.samples:
        if sample.digest not in rows:
            first.setdefault(sample.digest, sample)
    return list(first.values())


def _table(work: Extraction, provenance: Mapping[str, Any]) -> FeatureTable:
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


def _provenance(work: Extraction, machines: Sequence[devices.Device], seconds: float, computed: int) -> dict[str, Any]:
    job, known = work.job, work.context.store.measured
    # Shards on several devices are other processes, and what was stored before took none.
    peak = peak_memory.peak_bytes(work.machine.device) if work.todo and len(machines) == 1 else None
    made = Provenance(
        versions=versions(*_LIBRARIES),
        device=machines[0].device,
        device_name=machines[0].name,
        devices=len(machines),
        precision=job.encoder.precision,
        precision_asked=job.request.precision,
        batch_size=work.batch_size,
        workers=work.workers,
        threads=torch.get_num_threads(),
        parameters=work.parameters or known.of("parameters", job.encoder.digest),
        weights_digest=job.weights.digest,
        tensors=work.tensors or known.of("tensors", job.encoder.digest),
        source=job.model.source,
        revision=job.model.revision,
        computed=computed,
        peak_memory_bytes=peak,
        seconds=round(seconds, 3),
        images_per_second=round(work.rate, 3),
    )
    return asdict(made)
