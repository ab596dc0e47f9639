"""The quality of the saliency maps: a table with a row per image, one over images with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.run_results import Explained

QUALITY = (
    *texts("model", "dataset", "label_view", "measure"), *numbers("mean", "ci_low", "ci_high", "n", "misclassified"),
    *numbers("mostly_noise"), *texts("explained", "estimator"), *numbers("masks", "cells"), *texts("fill"),
    *numbers("curve_points", "seed"),
)  # fmt: skip
MEASURES = (
    "pointing", "mass_lesion", "area_lesion", "mass_over_area_lesion", "mass_text", "area_text", "mass_over_area_text",
    "insertion", "deletion", "stability",
)  # fmt: skip
IMAGES = (
    *texts("model", "dataset", "label_view", "image", "label", "predicted", "explained"),
    *numbers("score", "relative_error"), *texts("mostly_noise"), *numbers(*MEASURES),
)  # fmt: skip


def quality(explained: Iterable[Explained]) -> Table:
    """Return saliency_quality.csv: one row per (model, dataset, measure) with its 95 % interval over images.

    mass_over_area_lesion and mass_over_area_text are the findings: what a mass exceeds its region's area by, the mass
    of a uniform map, image by image.
    """
    rows = tuple(row for one in explained for row in _quality(one))
    return Table("saliency_quality", QUALITY, rows, "Quality of the saliency maps")


def images(explained: Iterable[Explained]) -> Table:
    """Return saliency_images.csv: one row per explained image."""
    rows = tuple(row for one in explained for row in _images(one))
    return Table("saliency_images", IMAGES, rows, "Each explained image")


def _quality(one: Explained) -> Iterator[Row]:
    names = ("explained", "estimator", "masks", "cells", "baseline", "curve_points", "seed")
    made = [one.parameters.get(name) for name in names]
    for measure, found in one.quality.items():
        values = (found.mean, found.low, found.high, int(found.n), found.misclassified, found.mostly_noise)
        yield (one.model.id, one.dataset.spec.id, one.dataset.view, measure, *values, *made)


def _images(one: Explained) -> Iterator[Row]:
    for item in one.items:
        ids = (one.model.id, one.dataset.spec.id, one.dataset.view, item.image, item.label, item.predicted)
        measured = (getattr(item.quality, name) for name in MEASURES)
        yield (*ids, item.explained, item.score, item.relative_error, item.mostly_noise, *measured)
