"""Images of a dataset to durable blocks of feature rows, on one device."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.events import BlockStored, DeviceStatus, Event, Log, StepProgress
from medvlm_tui.core.intensity_windows import one_level_note
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Precision, Sample
from medvlm_tui.engine.encoders.encoder import Encoder, NotFiniteError
from medvlm_tui.engine.encoders.launched import InFlight, Launched, launch
from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.extract import batch_sizes, batches
from medvlm_tui.engine.extract.batches import Batch
from medvlm_tui.engine.extract.block_writer import BlockWriter, block_writer
from medvlm_tui.engine.extract.framed_images import FramedImages, FramesOfStep
from medvlm_tui.engine.images.decoder_pool import DecoderPool
from medvlm_tui.engine.images.decoders import decoders
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_memory import with_back_off
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError

BLOCK_IMAGES = 256
_RATE_WINDOW_S = 10.0
_EVENT_INTERVAL_S = 0.1

Row = NDArray[np.float32]


@dataclass
class Progress:
    """Counter of images and their cost; it reports progress at most ten times per second."""

    step: str
    total: int
    done: int
    quarantined: int = 0
    waited_s: float = 0.0
    """Time during which the network waited for its next batch to be decoded."""
    _times: deque[tuple[float, int, float]] = field(default_factory=deque)
    _said_at: float = 0.0

    def timed(self, source: Iterator[Batch]) -> Iterator[Batch]:
        """Yield what comes and count the time until it does."""
        while True:
            asked = time.monotonic()
            batch = next(source, None)
            self.waited_s += time.monotonic() - asked
            if batch is None:
                return
            yield batch

    def add(self, images: int, quarantined: int = 0) -> Iterator[StepProgress]:
        """Count images, and how many of them were left out."""
        now = time.monotonic()
        self.done += images
        self.quarantined += quarantined
        self._times.append((now, self.done, self.waited_s))
        while len(self._times) > 2 and now - self._times[0][0] > _RATE_WINDOW_S:
            self._times.popleft()
        if now - self._said_at >= _EVENT_INTERVAL_S or self.done == self.total:
            self._said_at = now
            yield self._event()

    def start(self) -> StepProgress:
        """Return the first progress event, with the images that are done already."""
        self._times.append((time.monotonic(), self.done, self.waited_s))
        return self._event()

    def _event(self) -> StepProgress:
        (begin, first, waited), (end, last, waited_now) = self._times[0], self._times[-1]
        rate = (last - first) / (end - begin) if end > begin else 0.0
        return StepProgress(
            self.step,
            self.done,
            self.total,
            rate,
            (self.total - self.done) / rate if rate else None,
            waiting=min(1.0, (waited_now - waited) / (end - begin)) if end > begin else None,
            quarantined=self.quarantined,
        )


@dataclass
class Extraction:
    """The images to be extracted, and the result so far."""

    job: CellJob
    context: StepContext
    machine: devices.Device
    todo: Sequence[Sample]
    progress: Progress
    rows: dict[str, Row] = field(default_factory=dict)
    """Image digest -> features."""
    failed: dict[str, str] = field(default_factory=dict)
    """Image digest -> reason."""
    workers: int = 0
    batch_size: int = 0
    parameters: int = 0
    tensors: Mapping[str, int] = field(default_factory=dict)
    """Counts of the checkpoint's tensors: used, passed over and absent (encoders/checkpoints/load_report.py)."""
    rate: float = 0.0
    """Images per second once the encoder was loaded."""
    hidden: list[str] = field(default_factory=list)
    """Ids of images of which their window left one grey level."""
    load: Callable[[str, Precision], Encoder] | None = None
    """Loads, for a device and a precision, the encoder where it is not the model's own."""

    def encoder(self) -> Encoder:
        """Return the encoder on this device."""
        device, precision = self.machine.device, self.machine.precision
        if self.load is not None:
            return self.load(device, precision)
        encoders = self.context.resources.of(Encoders)
        return encoders.get(self.job.model, self.job.weights, self.job.encoder.feature, device, precision)


def stored_rows(job: CellJob, context: StepContext) -> dict[str, Row]:
    """Return the rows that the store already has for this encoder and this dataset's images."""
    wanted = {sample.digest for sample in job.dataset.samples}
    found: dict[str, Row] = {}
    for digests, block in context.store.blocks(job.encoder, wanted):
        found.update((digest, row) for digest, row in zip(digests, block, strict=True) if digest in wanted)
    return found


def extract(work: Extraction) -> Iterator[Event]:
    """Encode `work.todo` and store it block by block; raises MedvlmError when features are not finite, Cancelled."""
    device = work.machine.device
    work.workers = work.job.request.workers or batches.default_workers(device, work.todo)
    size_px, largest = work.job.model.preprocess.size_px, largest_batch_of(work.job, device)
    with decoders(work.workers, largest + batches.ahead_of(device, largest), size_px) as pool:
        # The decoders start while the model loads.
        encoder = work.encoder()
        work.parameters, work.tensors = encoder.parameters, encoder.report.record()
        for subject, found in (("parameters", work.parameters), ("tensors", work.tensors)):
            work.context.store.measured.note(subject, work.job.encoder.digest, found)
        work.batch_size = batch_sizes.chosen(work.job, work.context.store, encoder, work.machine, largest)
        yield from (Log("warning", f"{work.job.model.id}: {note}", work.job.step.id) for note in encoder.report.notes)
        yield device_status(work)
        yield work.progress.start()
        began = time.monotonic()
        yield from _blocks(work, encoder, pool)
    work.rate = len(work.todo) / max(time.monotonic() - began, 1e-9)
    if work.hidden:
        yield Log("warning", one_level_note(work.hidden, len(work.todo), work.job.request.window), work.job.step.id)


def largest_batch_of(job: CellJob, device: str) -> int:
    """Return how many images a batch may have at most: as asked, within a block and the decoders' memory."""
    asked = job.request.batch_size or batch_sizes.LARGEST
    return min(asked, BLOCK_IMAGES, batches.largest_batch(device, job.model.preprocess.size_px))


def device_status(work: Extraction) -> DeviceStatus:
    """Return the event that tells what the extraction runs on."""
    machine = work.machine
    return DeviceStatus(
        machine.device,
        machine.name,
        machine.precision,
        work.batch_size,
        memory_total_gb=machine.memory_gb,
        workers=work.workers,
    )


def _blocks(work: Extraction, encoder: Encoder, pool: DecoderPool) -> Iterator[Event]:
    size = work.batch_size
    blocks = [work.todo[begin : begin + BLOCK_IMAGES] for begin in range(0, len(work.todo), BLOCK_IMAGES)]
    spans = [[block[begin : begin + size] for begin in range(0, len(block), size)] for block in blocks]
    flat = [span for block in spans for span in block]
    ahead = batches.ahead_of(work.machine.device, size)
    read = partial(read_sample, window=work.job.request.window)
    ends = [span is block[-1] for block in spans for span in block]
    with (
        _kept(work, encoder) as kept,
        closing(batches.batches(flat, read, encoder, pool, ahead, work.context.check, kept)) as source,
    ):
        yield from _encoded(work, encoder, source, ends)


def _kept(work: Extraction, encoder: Encoder) -> AbstractContextManager[FramesOfStep | None]:
    """Return the framed images that this worker keeps; None for a step that no plan made, and for whole images."""
    job = work.job
    if job.frames is None or encoder.framing is None:
        return nullcontext()
    processes = 1 + job.request.device.count(",")  # one for each device
    images = work.context.resources.of(FramedImages)
    return images.for_step(job.step.dataset, job.request.window, encoder.framing, job.frames, processes)


@dataclass(frozen=True, slots=True)
class _Launched:
    """A batch whose features are being computed."""

    batch: Batch
    parts: tuple[tuple[Launched, Sequence[int]], ...]
    """Features, and the positions in the batch that they are of."""
    ends_block: bool


def _encoded(work: Extraction, encoder: Encoder, source: Iterator[Batch], ends: Sequence[bool]) -> Iterator[Event]:
    """Encode batches and store their blocks; `ends` says of each batch whether a block ends with it.

    On a GPU a batch is launched before the features of the one before are read, and blocks are stored meanwhile.
    """
    flight: InFlight[_Launched] = InFlight(work.machine.device)
    with block_writer(work.machine.device, partial(work.context.store.put_block, work.job.encoder)) as writer:
        blocks = _Blocks(work, writer)
        for batch, ends_block in zip(work.progress.timed(source), ends, strict=True):
            work.context.check()
            yield from _said_of(work, batch)
            for launched in flight.add(_launched(work, encoder, batch, ends_block)):
                yield from blocks.add(launched)
        for launched in flight.rest():
            yield from blocks.add(launched)
        yield from blocks.stored(writer.finish())


def _said_of(work: Extraction, batch: Batch) -> Iterator[Event]:
    """Yield what the log is told of a batch, and note the images that it lacks."""
    step = work.job.step.id
    yield from (Log("warning", note, step) for note in batch.notes)
    work.hidden += batch.hidden
    for sample, error in batch.failed:
        work.failed[sample.digest] = error.message
        yield Log("warning", f"{clean(sample.id)} is left out: {error.message}", step)


class _Blocks:
    """The block on its way."""

    def __init__(self, work: Extraction, writer: BlockWriter) -> None:
        self._work, self._writer = work, writer
        self._digests: list[str] = []
        self._parts: list[Row] = []

    def add(self, launched: _Launched) -> Iterator[Event]:
        """Read the features of a batch and count it; store the block that ends with it."""
        batch = launched.batch
        if batch.samples:
            self._parts.append(_rows(self._work, launched))
            self._digests += [sample.digest for sample in batch.samples]
        yield from self._work.progress.add(batch.drawn, len(batch.failed))
        if launched.ends_block and self._digests:
            block = np.concatenate(self._parts)
            self._work.rows.update(zip(self._digests, block, strict=True))
            yield from self.stored(self._writer.write(self._digests, block))
            self._digests, self._parts = [], []

    def stored(self, blocks: Sequence[tuple[str, int]]) -> Iterator[Event]:
        """Yield the events of blocks that are durable."""
        yield from (BlockStored(self._work.job.step.id, count, key) for key, count in blocks)


def _launched(work: Extraction, encoder: Encoder, batch: Batch, ends_block: bool) -> _Launched:
    """Begin to encode a batch; a batch size halved for lack of memory holds for the rest of the step."""

    def begin(part: Sequence[int]) -> tuple[Launched, Sequence[int]]:
        # Scaled here, so that bytes are all that waits on the GPU, and floats are backed off from like the rest.
        pixels = batches.scaled(batch.pixels[part[0] : part[-1] + 1], encoder)
        with _naming_images(work, batch, part):
            return launch(encoder, pixels), part

    parts, work.batch_size = with_back_off(begin, range(len(batch.samples)), work.batch_size)
    return _Launched(batch, tuple(parts), ends_block)


def _rows(work: Extraction, launched: _Launched) -> Row:
    """Return the features of a batch once they are there."""
    batch, parts = launched.batch, []
    for features, part in launched.parts:
        with _naming_images(work, batch, part):
            parts.append(features.features())
    rows: Row = torch.cat(parts).numpy()
    if not np.isfinite(rows).all():  # of an encoder that does not check by itself
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist()
        raise _not_finite(work, [batch.samples[row] for row in bad])
    return rows


@contextmanager
def _naming_images(work: Extraction, batch: Batch, part: Sequence[int]) -> Iterator[None]:
    """Turn an encoder's complaint of features that are not finite into an error that names the images."""
    try:
        yield
    except NotFiniteError as error:
        raise _not_finite(work, [batch.samples[part[row]] for row in error.rows]) from error


def _not_finite(work: Extraction, samples: Sequence[Sample]) -> MedvlmError:
    return MedvlmError(
        f"{work.job.model.id} gave features that are not finite for {len(samples)} images: "
        f"{', '.join(clean(sample.id) for sample in samples[:5])}",
        "run with --precision fp32; if it stays, the weights are damaged",
    )
