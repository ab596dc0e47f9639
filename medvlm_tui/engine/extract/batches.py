"""Images decoded and framed by other processes, ahead of the network that eats them, in batches on its device."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.extract.framed_images import FramesOfStep
from medvlm_tui.engine.extract.image_source import ImageSource
from medvlm_tui.engine.images.decoder_pool import DecoderPool
from medvlm_tui.engine.images.decoders import ARCHIVE_WORKERS
from medvlm_tui.engine.images.decoding_task import Read
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.engine.step.cores import cores
from medvlm_tui.engine.step.device_memory import is_out_of_memory
from medvlm_tui.errors import ImageError

Item = TypeVar("Item")
_Image = NDArray[Any] | ImageError
_MOST_GPU_WORKERS = 16
_BATCHES_AHEAD = 2
_SHARED_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive images of a dataset."""

    samples: tuple[Sample, ...]
    pixels: torch.Tensor
    """Framed bytes (n, H, W, 3), or inputs (n, 3, H, W) float32 of an encoder with a preparation of its own; `scaled`
    makes the network's input of either. On the network's device, or in pinned memory where the device was full."""
    failed: tuple[tuple[Sample, ImageError], ...]
    notes: tuple[str, ...]
    """Sentences for the log."""
    hidden: tuple[str, ...] = ()
    """Ids of images of which their window left one grey level."""

    @property
    def drawn(self) -> int:
        """Return the number of images of the dataset that it stands for."""
        return len(self.samples) + len(self.failed)


def default_workers(device: str, samples: Sequence[Sample]) -> int:
    """Return how many processes decode: one per core, beside a GPU one less than that, and at most 16."""
    return workers_per_device(device, samples, 1)[0]


def workers_per_device(device: str, samples: Sequence[Sample], devices: int, asked: int = 0) -> list[int]:
    """Return how many processes decode for each of several devices: `asked`, or the cores of this process, dealt out.

    A core is left to the process of each GPU; each GPU has one decoder at least and 16 at most.
    """
    gpus = device.startswith("cuda")
    total = asked or (cores() - devices if gpus else cores())
    most = asked or (_MOST_GPU_WORKERS if gpus else total)
    if not asked and any(sample.path.suffix.lower() == ".npz" for sample in samples[:1]):
        most = ARCHIVE_WORKERS
    each, more = divmod(max(total, 0), devices)
    return [max(1, min(each + (number < more), most)) for number in range(devices)]


def ahead_of(device: str, batch_size: int) -> int:
    """Return how many images are decoded beyond the batch that is asked for.

    None on a CPU, where network and decoders would only take the cores from each other: threads of the network that
    meet at barriers lose most by it. Both take turns there, each with all cores.
    """
    return _BATCHES_AHEAD * batch_size if device.startswith("cuda") else 0


def largest_batch(device: str, size_px: int) -> int:
    """Return how many images a batch may have so that what is decoded at a time fits into 512 MiB."""
    held = _SHARED_BYTES // (3 * size_px * size_px)
    return max(1, held // (1 + ahead_of(device, 1)))


def batches(
    spans: Iterable[Sequence[Sample]],
    read: Read,
    encoder: Encoder,
    pool: DecoderPool,
    ahead: int,
    check: Callable[[], None],
    kept: FramesOfStep | None = None,
) -> Generator[Batch, None, None]:
    """Yield one batch for each span of samples; `ahead` images are decoded beyond it meanwhile.

    `check` is called while it waits and may raise. Images that are `kept` are not decoded.
    """
    builder = _Builder(encoder, pool, ImageSource(read, encoder.framing, pool, kept), check)
    made = builder.batches(spans, ahead)
    if not encoder.device.startswith("cuda"):
        yield from made
        return
    stream = torch.cuda.Stream(encoder.device)  # type: ignore[no-untyped-call]
    for batch, ready in _prefetched(_uploaded(made, encoder, stream)):
        torch.cuda.current_stream(encoder.device).wait_event(ready)
        if batch.pixels.is_cuda:
            batch.pixels.record_stream(torch.cuda.current_stream(encoder.device))
        yield batch


class _Builder:
    """Makes batches of what the decoders deliver."""

    def __init__(self, encoder: Encoder, pool: DecoderPool, source: ImageSource, check: Callable[[], None]) -> None:
        self._encoder, self._pool, self._source, self._check = encoder, pool, source, check
        self._spec = encoder.framing
        self._pinned = encoder.device.startswith("cuda")

    def batches(self, spans: Iterable[Sequence[Sample]], ahead: int) -> Iterator[Batch]:
        wanted = [tuple(span) for span in spans]
        todo = [sample for span in wanted for sample in span]
        submitted = taken = 0
        for span in wanted:
            taken += len(span)
            while submitted < min(len(todo), taken + ahead):
                self._source.ask(todo[submitted])
                submitted += 1
            yield self._batch(span, [self._source.take(self._check) for _ in span])

    def _batch(self, span: Sequence[Sample], decoded: Sequence[_Image]) -> Batch:
        made: list[tuple[Sample, _Image | torch.Tensor]] = list(zip(span, decoded, strict=True))
        if self._spec is None:
            made = list(zip(span, self._preprocessed(decoded), strict=True))
        failed = tuple((sample, result) for sample, result in made if isinstance(result, ImageError))
        kept = [(sample, result) for sample, result in made if not isinstance(result, ImageError)]
        notes, hidden = tuple(self._pool.deaths), tuple(sample.id for sample in span if sample.id in self._pool.hidden)
        self._pool.deaths.clear()
        self._pool.hidden.difference_update(hidden)
        pixels = self._stacked([pixels for _, pixels in kept])
        return Batch(tuple(sample for sample, _ in kept), pixels, failed, notes, hidden)

    def _preprocessed(self, decoded: Sequence[_Image]) -> list[torch.Tensor | ImageError]:
        """Encoders with a preparation of their own do it here, in threads, whose matrix products take one core each."""
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores()) as threads:
            return list(threads.map(self._prepare, decoded))

    def _prepare(self, decoded: _Image) -> torch.Tensor | ImageError:
        if isinstance(decoded, ImageError):
            return decoded
        try:
            return self._encoder.preprocess(Image.fromarray(decoded))
        except ImageError as error:
            return error

    def _stacked(self, images: Sequence[NDArray[Any] | torch.Tensor]) -> torch.Tensor:
        if not images:
            return torch.empty(0)
        first = torch.as_tensor(images[0])
        stacked = torch.empty((len(images), *first.shape), dtype=first.dtype, pin_memory=self._pinned)
        torch.stack([torch.as_tensor(image) for image in images], out=stacked)
        return stacked


def scaled(pixels: torch.Tensor, encoder: Encoder) -> torch.Tensor:
    """Return the network's input (n, 3, H, W) float32 of a batch's pixels, on the encoder's device."""
    pixels = pixels.to(encoder.device, non_blocking=True)
    if encoder.framing is None or pixels.dtype != torch.uint8:
        return pixels
    return Preprocess(encoder.framing).batch(pixels)


def _uploaded(
    made: Iterable[Batch], encoder: Encoder, stream: torch.cuda.Stream
) -> Iterator[tuple[Batch, torch.cuda.Event]]:
    """Copy batches to the GPU on a stream of their own, beside the network's; one that does not fit stays in pinned
    memory, and goes over in the parts that the network's back-off finds."""
    torch.cuda.set_device(encoder.device)  # a setting of each thread
    for batch in made:
        with torch.cuda.stream(stream):
            pixels = _copied(batch.pixels, encoder.device)
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record(stream)
        yield replace(batch, pixels=pixels), ready


def _copied(pixels: torch.Tensor, device: str) -> torch.Tensor:
    """Return pixels on the device, or as they are when it has no memory for them."""
    try:
        return pixels.to(device, non_blocking=True)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    return pixels


def _prefetched(source: Iterator[Item], depth: int = 1) -> Generator[Item, None, None]:
    """Draw from `source` in a thread, `depth` items ahead; closing ends the thread."""
    waiting: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(depth)
    ended = threading.Event()

    def put(item: tuple[Item] | BaseException | None) -> bool:
        while not ended.is_set():
            try:
                waiting.put(item, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False

    def draw() -> None:
        try:
            for item in source:
                if not put((item,)):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=draw, name="batches", daemon=True)
    thread.start()
    try:
        while (drawn := waiting.get()) is not None:
            if isinstance(drawn, BaseException):
                raise drawn
            yield drawn[0]
    finally:
        ended.set()
        thread.join()
