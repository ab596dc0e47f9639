"""Background, one model on one dataset: features of images with covered lesions, a classifier for each condition."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.background.measures import measures_of
from medvlm_tui.engine.background.squares import LARGEST, Squares, box_of, covered, extent, only, squares
from medvlm_tui.engine.bench.bench import Bench, Draw, open_bench
from medvlm_tui.engine.bench.measures import correct, fitted
from medvlm_tui.engine.bench.seeds import seed_of
from medvlm_tui.engine.images.geometry import Box, view_of
from medvlm_tui.engine.images.lesion_masks import lesion_masks
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import DatasetError
from medvlm_tui.stages.background import BACKGROUND
from medvlm_tui.stages.params.background import BackgroundParams
from medvlm_tui.stages.records.background import POSITION, WHOLE, BackgroundRecord

Flags = NDArray[np.bool_]
_WAYS = ("covered", "moved", "only")
_NO_MASK, _EMPTY = "no lesion mask", "an empty lesion mask"
_SHOWN_PER_CLASS, _SHOWN = 2, 6


@dataclass(frozen=True, slots=True)
class Lesion:
    """The lesions of an image as one box, and the size of the image."""

    box: Box
    size: tuple[int, int]


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Measure each condition; raises DatasetError where fewer than two classes have images with lesions."""
    begun, params = time.monotonic(), params_of(BackgroundParams, job.step.params)
    found = _found(job, context, params)
    bench, conditions = found.bench, {WHOLE: found.bench.read, **_drawings(found, params)}
    rows = np.concatenate([bench.train, bench.test])
    bench.total = len(rows) * len(conditions)
    right: dict[str, Flags] = {}
    for name, draw in conditions.items():
        right[name] = _right(bench, (yield from bench.encode(name, rows, draw)))
    right[POSITION] = _right(bench, np.array([found.centre(row) for row in rows], dtype=np.float32))
    record = replace(_record(found, params, right), seconds=time.monotonic() - begun)
    arrays: dict[str, NDArray[Any]] = {
        "right": np.stack(list(right.values())),
        "labels": bench.test_codes.astype(np.int16),
        "pictures": np.stack([bench.pictures(record.shown, draw) for draw in conditions.values()]),
    }
    context.store.put_result(job.step.key, arrays, record)
    bench.forget()
    shown = BACKGROUND.summary(record)
    yield ResultReady(job.step.id, "background", job.step.key, job.step.model, job.step.dataset, shown)


@dataclass(frozen=True, slots=True)
class Found:
    """The images that take part, and the squares in them."""

    bench: Bench
    lesions: Mapping[int, Lesion]
    places: Mapping[int, Squares]
    side: float
    left_out: Mapping[str, int]

    def mean(self, name: str) -> float:
        """Return the mean of a number of the squares over the images that take part."""
        return float(np.mean([getattr(self.places[row], name) for row in (*self.bench.train, *self.bench.test)]))

    def centre(self, row: int) -> tuple[float, float]:
        """Return the centre of the square over the lesion, as shares of the image's width and height."""
        (left, top, right, bottom), (width, height) = self.places[row].lesion, self.lesions[row].size
        return (left + right) / (2 * width), (top + bottom) / (2 * height)


def _found(job: CellJob, context: StepContext, params: BackgroundParams) -> Found:
    bench = open_bench(
        job, context, params.train_per_class, params.test_per_class, params.seed, lambda sample: sample.mask is not None
    )
    left_out = Counter({_NO_MASK: sum(sample.mask is None for sample in bench.samples)})
    lesions = _lesions(bench, left_out)
    side = params.side or _side([lesions[row] for row in bench.train if row in lesions])
    places = _places(bench, lesions, side, params, left_out)
    return Found(_of_rows(bench, places), lesions, places, side, left_out)


def _record(found: Found, params: BackgroundParams, right: Mapping[str, Flags]) -> BackgroundRecord:
    bench = found.bench
    return BackgroundRecord(
        **asdict(params),
        classes=bench.classes,
        images=tuple(bench.samples[row].id for row in bench.test),
        shown=bench.shown(_SHOWN_PER_CLASS, _SHOWN, params.seed),
        conditions=tuple(right),
        measures=measures_of(right, params.fills, bench.chance, params.seed, params.resamples),
        side_share=found.side,
        overlap=found.mean("overlap"),
        cut_off=found.mean("cut_off"),
        left_out={reason: count for reason, count in found.left_out.items() if count},
        t=bench.t,
        n_train=len(bench.train),
        n_test=len(bench.test),
        versions=versions("numpy", "torch", "scikit-learn", "pillow"),
        device=bench.encoder.device,
    )


def _lesions(bench: Bench, left_out: Counter[str]) -> dict[int, Lesion]:
    """Return the lesion of each of the bench's images that has one; raises ImageError for a mask that is unreadable."""
    found = {}
    for row in np.concatenate([bench.train, bench.test]).tolist():
        bench.context.check()
        sample = bench.samples[row]
        size, mask = bench.read(sample).size, np.zeros((1, 1), dtype=bool)
        for lesion in lesion_masks(sample):
            # A mask of another size than its image is brought to it, nearest first.
            mask = mask | np.asarray(Image.fromarray(lesion).resize(size, Image.Resampling.NEAREST))
        box = box_of(mask)
        if box is None:
            left_out[_EMPTY] += 1
        else:
            found[row] = Lesion(box, size)
    return found


def _side(lesions: list[Lesion]) -> float:
    """Return the side that covers nine of ten lesions of the training part, as a share of the short side."""
    extents = [extent(lesion.box, lesion.size) for lesion in lesions]
    # A little more than the lesion itself: the square must hold it although its centre is moved.
    return min(LARGEST, float(np.percentile(extents, 90)) * 1.05) if extents else LARGEST


def _places(
    bench: Bench, lesions: Mapping[int, Lesion], side: float, params: BackgroundParams, left_out: Counter[str]
) -> dict[int, Squares]:
    found = {}
    for row, lesion in lesions.items():
        seed = seed_of(params.seed, bench.samples[row].id, "square")
        seen = view_of(bench.job.model.preprocess, lesion.size).seen(lesion.size)
        made = squares(lesion.box, lesion.size, side, params.jitter, seed, seen)
        if isinstance(made, str):
            left_out[made] += 1
        else:
            found[row] = made
    return found


def _of_rows(bench: Bench, places: Mapping[int, Squares]) -> Bench:
    """Return the bench with the images that have squares, and the classes that are on both sides of the hold-out."""
    train, test = (
        np.array([row for row in rows if row in places], dtype=np.int64) for rows in (bench.train, bench.test)
    )
    both = np.intersect1d(bench.codes[train], bench.codes[test])
    if len(both) < 2:
        raise DatasetError(
            f"{bench.job.step.dataset} has fewer than two classes with lesions that a square can cover",
            "give masks for more classes, or a smaller square by --cover-side",
        )
    codes = np.full(len(bench.codes), -1, dtype=np.int64)
    for number, code in enumerate(both):
        codes[bench.codes == code] = number
    train, test = train[codes[train] >= 0], test[codes[test] >= 0]
    return replace(bench, train=train, test=test, codes=codes, classes=tuple(bench.classes[code] for code in both))


def _drawings(found: Found, params: BackgroundParams) -> dict[str, Draw]:
    bench = found.bench
    by_id = {bench.samples[row].id: square for row, square in found.places.items()}

    def draw(way: str, fill: str, sample: Sample) -> Image.Image:
        square, seed = by_id[sample.id], seed_of(params.seed, sample.id, f"{way} {fill}")
        make = only if way == "only" else covered
        return make(bench.read(sample), square.moved if way == "moved" else square.lesion, fill, seed)

    return {f"{way} {fill}": partial(draw, way, fill) for fill in params.fills for way in _WAYS}


def _right(bench: Bench, features: NDArray[np.float32]) -> Flags:
    """Return whether each hold-out image is right by a classifier trained on the training part's features."""
    n = len(bench.train)
    model = fitted(features[:n], bench.codes[bench.train], len(bench.classes), bench.t)
    return correct(model, features[n:], bench.test_codes)
