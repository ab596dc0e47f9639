"""How good the saliency maps are: one table an image, one over images with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.formats.csv_file import Value, write_csv
from medvlm_tui.report.results.run_results import Explained

Row = Sequence[Value]
QUALITY = (
    "model", "dataset", "label_view", "measure", "mean", "ci_low", "ci_high", "n", "estimator", "masks", "cells",
    "seed",
)  # fmt: skip
IMAGES = (
    "model", "dataset", "label_view", "image", "label", "predicted", "explained", "score", "relative_error", "pointing",
    "mass_lesion", "area_lesion", "mass_text", "area_text", "insertion", "deletion", "insertion_raw", "deletion_raw",
    "stability",
)  # fmt: skip
_FIRST_MEASURE = IMAGES.index("pointing")


def write_quality(path: Path, explained: Iterable[Explained]) -> None:
    """Write saliency_quality.csv: one row a (model, dataset, measure) with its 95 % interval over images.

    area_lesion and area_text are what a flat map would give for the masses beside them.
    """
    write_csv(path, QUALITY, (row for one in explained for row in _quality(one)))


def write_images(path: Path, explained: Iterable[Explained]) -> None:
    """Write saliency_images.csv: one row an explained image."""
    write_csv(path, IMAGES, (row for one in explained for row in _images(one)))


def _quality(one: Explained) -> Iterator[Row]:
    made = [one.parameters.get(name) for name in ("estimator", "masks", "cells", "seed")]
    for measure, found in one.quality.items():
        bounds = (found["mean"], found["low"], found["high"], int(found["n"]))
        yield (one.model.id, one.dataset.spec.id, one.dataset.view, measure, *bounds, *made)


def _images(one: Explained) -> Iterator[Row]:
    for item in one.items:
        ids = (one.model.id, one.dataset.spec.id, one.dataset.view, item.image, item.label, item.predicted)
        measured = (item.quality.get(name) for name in IMAGES[_FIRST_MEASURE:])
        yield (*ids, item.explained, item.score, item.relative_error, *measured)
