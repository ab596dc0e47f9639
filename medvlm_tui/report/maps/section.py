"""The maps on the page: a viewer with the proposed map of every pair, and the tables of the full feature space.

A page shows at most MOST_POINTS images per dataset and MOST_THUMBNAILS pictures in all, shared evenly by the datasets.
Where there are more, those shown are a fixed selection: of each class its share, evenly spaced in the dataset's order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.report.maps import rows
from medvlm_tui.report.maps.panel import Panel, value_order
from medvlm_tui.report.maps.panels import MapPanels, side_by_side
from medvlm_tui.report.page.blocks import (
    MAPS,
    Block,
    Colouring,
    Drawing,
    Fold,
    MapImages,
    MapPoints,
    MapViewer,
    Paragraph,
    Section,
    figures_in,
)  # fmt: skip
from medvlm_tui.report.page.encoded import THUMBNAIL_PX
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Gathered

MOST_POINTS = 1500
MOST_THUMBNAILS = 2400
_FIGURES = {
    "figure1": "A map with examples of its dense places",
    "figure2": "The map with examples of its clusters",
    "figure3": "Proposed maps of every model and dataset",
    "figure4": "Microbe subclasses",
}
"""Name of a figure of the run -> its caption. Figures 1 and 2 are of the first model and dataset."""


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of maps where the run has any; `written` are the files that lie beside the page."""
    tables = rows.tables(results)
    viewer = map_viewer(results)
    if viewer.maps or tables:
        figures = figures_in(written)
        blocks = (*_viewer(viewer), *_drawings(figures), Fold("Measures of the maps and of the features", tables))
        yield Section("maps", "Maps of the features", MAPS, blocks)


def map_viewer(results: Gathered) -> MapViewer:
    """Return the proposed map of every pair, those of one dataset in one orientation."""
    panels = MapPanels(results, results.source.store)
    proposed = side_by_side([pair.proposed for pair in panels.pairs.values()])
    by_dataset: dict[str, list[Panel]] = {}
    for panel in proposed:
        by_dataset.setdefault(panel.shown.dataset.spec.id, []).append(panel)
    share = MOST_THUMBNAILS // max(1, len(by_dataset))
    datasets = {name: _images(results, panels, several, share) for name, several in by_dataset.items()}
    return MapViewer(datasets, tuple(_points(panel, datasets[panel.shown.dataset.spec.id]) for panel in proposed))


def spread(labels: Sequence[str], most: int) -> list[int]:
    """Return at most `most` positions: of each label its share, at least one, evenly spaced; all where they suffice."""
    if len(labels) <= most:
        return list(range(len(labels)))
    names, inverse, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    chosen: list[int] = []
    for index in range(len(names)):
        members = np.flatnonzero(inverse == index)
        taken = max(1, int(most * counts[index] / len(labels)))
        chosen += members[np.linspace(0, len(members) - 1, taken).astype(int)].tolist()
    return sorted(chosen)[:most]


def _viewer(viewer: MapViewer) -> Iterator[Block]:
    if viewer.maps:
        yield Paragraph(
            "Each mark is an image; its place was learned from the features without its class. Distances between far "
            "groups mean little. Maps of one dataset are turned alike."
        )
        yield viewer


def _drawings(figures: Mapping[str, Path]) -> Iterator[Block]:
    shown = tuple(Drawing(figures[stem], caption) for stem, caption in _FIGURES.items() if stem in figures)
    if shown:
        yield Fold("Maps with examples, and maps side by side", shown)
    grids = tuple(
        Drawing(path, "Every map of one model and dataset, the proposed one framed")
        for stem, path in figures.items()
        if stem.startswith("umap_grid_")
    )
    if grids:
        yield Fold(f"Grids of maps ({len(grids)})", grids)


def _images(results: Gathered, panels: MapPanels, several: Sequence[Panel], share: int) -> MapImages:
    dataset = several[0].shown.dataset
    labels = {image: label for panel in several for image, label in zip(panel.ids, panel.labels, strict=True)}
    known = list(labels)
    ids = tuple(known[position] for position in spread(list(labels.values()), MOST_POINTS))
    tags = panels.tags(dataset.spec.id)
    colourings = [_colouring("class", dataset.classes, [labels[image] for image in ids])]
    for tag, values in tags.items():
        tagged = [values.get(image, "") for image in ids]
        colourings.append(_colouring(tag, value_order(tagged), tagged))
    pictures = _thumbnails(results, dataset.spec.id, ids, [labels[image] for image in ids], share)
    return MapImages(dataset_title(dataset), ids, tuple(colourings), pictures)


def _colouring(name: str, names: Sequence[str], labels: Sequence[str]) -> Colouring:
    place = {value: index for index, value in enumerate(names)}
    return Colouring(name, tuple(names), tuple(place.get(label, -1) for label in labels))


def _thumbnails(
    results: Gathered, dataset: str, ids: Sequence[str], labels: Sequence[str], share: int
) -> dict[int, NDArray[np.uint8]]:
    """Return the pictures of the images that can be read today, by their positions in `ids`."""
    samples = {sample.id: sample for sample in results.source.datasets[dataset].samples}
    wanted = [position for position in spread(labels, share) if ids[position] in samples]
    read = results.source.read_pictures([samples[ids[position]] for position in wanted], THUMBNAIL_PX)
    return {position: pixels for position, pixels in zip(wanted, read, strict=True) if pixels is not None}


def _points(panel: Panel, images: MapImages) -> MapPoints:
    place = {image: index for index, image in enumerate(images.ids)}
    kept = [point for point, image in enumerate(panel.ids) if image in place]
    shown = panel.shown
    parameters = f"n_neighbors {shown.n_neighbors}, min_dist {shown.min_dist:g}"
    title = f"{model_title(shown.model)} · {images.title} · {parameters}"
    return MapPoints(
        title, shown.dataset.spec.id, np.array([place[panel.ids[point]] for point in kept]), panel.xy[kept]
    )
