"""The check of a dataset as a step: the audit's report, and small pictures of its worst findings."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.datasets.check.findings import AuditOptions, Subject, audited
from medvlm_tui.engine.datasets.likeness.image_prints import read_small
from medvlm_tui.engine.images.decoders import decoded
from medvlm_tui.engine.images.decoding_task import Reduced
from medvlm_tui.engine.step.job import CheckJob, StepContext
from medvlm_tui.stages.check import CHECK
from medvlm_tui.stages.params.probe import SplitParams
from medvlm_tui.stages.records.check import AuditReport, CheckRecord

PICTURE_PX = 64
SHOWN_SETS = 40
"""Sets of duplicates with pictures, the worst first."""
_SHOWN_IMAGES = 2
_EVENT_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Pictures:
    """Of the first images of the worst sets."""

    names: tuple[tuple[int, str], ...]
    """(position in `AuditReport.worst`, image id) of each picture."""
    pixels: NDArray[np.uint8]
    """(k, PICTURE_PX, PICTURE_PX, 3), each picture in its upper left corner."""
    sizes: NDArray[np.int32]
    """(k, 2) height and width of each picture."""


def run(job: CheckJob, context: StepContext) -> Iterator[Event]:
    """Read every image of the dataset and store what is wrong with it under `job.step.key`.

    Raises Cancelled between blocks of images; blocks that were read are kept.
    """
    said_at = 0.0
    work = checked(job, context.store)
    while True:
        try:
            done = next(work)
        except StopIteration as end:
            record: CheckRecord = end.value
            break
        context.check()
        if (now := time.monotonic()) - said_at >= _EVENT_INTERVAL_S:
            said_at = now
            yield StepProgress(job.step.id, done, len(job.everything.samples))
    shown = CHECK.summary(record)
    yield ResultReady(job.step.id, "check", job.step.key, dataset=job.step.dataset, summary=shown)


def checked(job: CheckJob, store: Store) -> Generator[int, None, CheckRecord]:
    """Yield how many images were read; store and return the report."""
    options = AuditOptions(job.request.window, job.request.of(SplitParams), job.request.workers or 2)
    report = yield from audited(Subject(job.study, job.everything), options, store, job.encoder)
    pictures = pictures_of(report, job.everything.samples, job.request.window, options.workers)
    arrays: Mapping[str, NDArray[Any]] = {"pictures": pictures.pixels, "sizes": pictures.sizes}
    record = CheckRecord(report=report, worst=report.worst, pictures=pictures.names)
    store.put_result(job.step.key, arrays, record)
    return record


def pictures_of(report: AuditReport, samples: Sequence[Sample], window: str, workers: int = 2) -> Pictures:
    """Return small pictures of the worst sets; an image that cannot be read any more has none."""
    by_id = {sample.id: sample for sample in samples}
    worst = enumerate(report.worst[:SHOWN_SETS])
    wanted = [(position, image) for position, found in worst for image in found.images[:_SHOWN_IMAGES]]
    read = partial(read_small, window=window, side_px=PICTURE_PX)
    names: list[tuple[int, str]] = []
    drawn: list[NDArray[np.uint8]] = []
    sizes: list[tuple[int, int]] = []
    for name, small in zip(wanted, decoded([by_id[image] for _, image in wanted], read, workers), strict=True):
        if isinstance(small, Reduced):
            height, width = small.pixels.shape[:2]
            canvas = np.zeros((PICTURE_PX, PICTURE_PX, 3), np.uint8)
            canvas[:height, :width] = small.pixels
            names.append(name)
            drawn.append(canvas)
            sizes.append((height, width))
    pixels = np.array(drawn, np.uint8).reshape(-1, PICTURE_PX, PICTURE_PX, 3)
    return Pictures(tuple(names), pixels, np.array(sizes, np.int32).reshape(-1, 2))
