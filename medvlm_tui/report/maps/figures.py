"""The figures of maps: one per pair, its grid, its tags, examples beside their places, models by datasets, microbes.

Each is written as PNG, PDF and SVG at print size, with its points as CSV beside it. Imports matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.maps.examples import draw_examples
from medvlm_tui.report.maps.many_maps import draw_grid, draw_models, draw_study
from medvlm_tui.report.maps.panel import Panel, points_table
from medvlm_tui.report.maps.panels import MapPanels, PairMaps, side_by_side
from medvlm_tui.report.maps.scatter import draw_map
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Gathered

MICROBES = ("FUNGI", "ACTINO", "TRI", "HSV", "CC")
"""The study's Figure 4: the microbe subclasses of HiCervix."""


def draw_maps(gathered: Gathered, store: Store, figures: Path) -> Iterator[FileWritten]:
    """Draw every figure of maps that the results allow; yields each file when it is complete."""
    maps = MapPanels(gathered, store)
    for (model, dataset), pair in maps.pairs.items():
        yield from _pair(maps, pair, figures, model, dataset)
    for number, ((model, dataset), pair) in enumerate(maps.pairs.items()):
        yield from _examples(maps, pair, figures, () if number == 0 else (model, dataset))
    proposals = side_by_side([pair.proposed for pair in maps.pairs.values()])
    if len(proposals) > 1:
        draw_study(figures / "figure3.png", proposals)
        yield from _told(figures / "figure3.png", proposals)
    microbes = side_by_side([panel for panel in map(_microbes, proposals) if panel is not None])
    if microbes:
        draw_models(figures / "figure4.png", microbes, "microbe subclasses")
        yield from _told(figures / "figure4.png", microbes)


def _pair(maps: MapPanels, pair: PairMaps, figures: Path, model: str, dataset: str) -> Iterator[FileWritten]:
    path = figures / f"{file_stem('umap', model, dataset)}.png"
    draw_map(path, pair.proposed, of=len(pair.panels))
    yield from _told(path, [pair.proposed])
    for tag in maps.tags(dataset):
        panel = maps.by_tag(pair.proposed, tag)
        path = figures / f"{file_stem('umap', model, dataset, 'by', tag)}.png"
        draw_map(path, panel, of=len(pair.panels))
        yield from _told(path, [panel])
    if len(pair.panels) > 1:
        path = figures / f"{file_stem('umap_grid', model, dataset)}.png"
        draw_grid(path, pair.panels, pair.proposed.shown)
        yield from _told(path, pair.panels)


def _examples(maps: MapPanels, pair: PairMaps, figures: Path, ids: tuple[str, ...]) -> Iterator[FileWritten]:
    """Draw Figures 1a and 2a; the run's first pair gives the files without a pair's name.

    Figure 1a has its examples by density and the colours of the first tag, Figure 2a by cluster and those of the
    second, or of the classes where there are no tags.
    """
    tags = list(maps.tags(pair.proposed.shown.dataset.spec.id))
    for position, (figure, kind) in enumerate((("figure1", "density"), ("figure2", "cluster"))):
        images = pair.thumbnails(kind)
        if images:
            panel = maps.by_tag(pair.proposed, tags[min(position, len(tags) - 1)]) if tags else pair.proposed
            path = figures / f"{file_stem(figure, *ids)}.png"
            draw_examples(path, panel, images, kind)
            yield from _told(path, [panel], list(images))


def _microbes(panel: Panel) -> Panel | None:
    """Return the microbes of a map alone, None where it has none of the subclasses."""
    if not set(MICROBES) <= set(panel.shown.dataset.classes):
        return None
    kept = [point for point, label in enumerate(panel.labels) if label in MICROBES]
    if not kept:
        return None
    ids, labels = tuple(panel.ids[point] for point in kept), tuple(panel.labels[point] for point in kept)
    return replace(panel, xy=panel.xy[kept], ids=ids, labels=labels, groups=MICROBES, measures={})


def _told(path: Path, panels: Sequence[Panel], examples: Sequence[int] = ()) -> Iterator[FileWritten]:
    """Write the points beside a figure that is drawn, and yield its three files."""
    write_csv(path.with_suffix(".csv"), points_table(path.stem, panels, examples))
    for suffix in (".png", ".pdf", ".svg", ".csv"):
        yield FileWritten(str(path.with_suffix(suffix)), "figure")
