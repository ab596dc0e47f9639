"""How good the saliency maps are: one table an image, one over images with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.formats.csv_file import Value, write_csv
from medvlm_tui.report.results.run_results import Explained

Row = Sequence[Value]
QUALITY = (
    "model", "dataset", "label_view", "measure", "mean", "ci_low", "ci_high", "n", "misclassified", "mostly_noise",
    "explained", "estimator", "masks", "cells", "fill", "curve_points", "seed",
)  # fmt: skip
IMAGES = (
    "model", "dataset", "label_view", "image", "label", "predicted", "explained", "score", "relative_error",
    "mostly_noise", "pointing", "mass_lesion", "area_lesion", "mass_over_area_lesion", "mass_text", "area_text",
    "mass_over_area_text", "insertion", "deletion", "stability",
)  # fmt: skip
_FIRST_MEASURE = IMAGES.index("pointing")


def write_quality(path: Path, explained: Iterable[Explained]) -> None:
    """Write saliency_quality.csv: one row a (model, dataset, measure) with its 95 % interval over images.

    mass_over_area_lesion and mass_over_area_text are the findings: what a mass exceeds its region's area by, the mass
    of a uniform map, image by image.
    """
    write_csv(path, QUALITY, (row for one in explained for row in _quality(one)))


def write_images(path: Path, explained: Iterable[Explained]) -> None:
    """Write saliency_images.csv: one row an explained image."""
    write_csv(path, IMAGES, (row for one in explained for row in _images(one)))


def _quality(one: Explained) -> Iterator[Row]:
    names = ("explained", "estimator", "masks", "cells", "baseline", "curve_points", "seed")
    made = [one.parameters.get(name) for name in names]
    for measure, found in one.quality.items():
        counts = (_count(found.get(name)) for name in ("n", "misclassified", "mostly_noise"))
        numbers = (found["mean"], found["low"], found["high"], *counts)
        yield (one.model.id, one.dataset.spec.id, one.dataset.view, measure, *numbers, *made)


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)


def _images(one: Explained) -> Iterator[Row]:
    for item in one.items:
        ids = (one.model.id, one.dataset.spec.id, one.dataset.view, item.image, item.label, item.predicted)
        measured = (item.quality.get(name) for name in IMAGES[_FIRST_MEASURE:])
        yield (*ids, item.explained, item.score, item.relative_error, item.mostly_noise, *measured)
