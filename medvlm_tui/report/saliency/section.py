"""The saliency maps on the page: a slider between each image and its map, and the maps' quality.

A page shows at most MOST_MAPS maps: the first image of every model and dataset, then the second, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.page.blocks import SALIENCY, Block, Fold, Paragraph, Section, Slider, Subtitle
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Explained, Gathered
from medvlm_tui.report.saliency import rows
from medvlm_tui.stages.params.saliency import PROMPT
from medvlm_tui.stages.records.saliency import ExplainedImage
from medvlm_tui.stages.saliency import SALIENCY as STAGE

MOST_MAPS = 80


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of saliency where the run has maps."""
    if results.explained:
        yield Section("saliency", "Saliency: where the score comes from", SALIENCY, tuple(_blocks(results)))


def _blocks(results: Gathered) -> Iterator[Block]:
    shown = chosen(results.explained)
    total = sum(len(one.items) for one in results.explained)
    yield Paragraph(
        "RISE maps: yellow is where uncovering the image raises the score most, dark blue where least. Colours run "
        f"from each map's smallest to its largest value. {len(shown)} of {total} maps are on this page."
    )
    yield from _sliders(results, shown)
    tables = (rows.quality(results.explained), rows.images(results.explained))
    yield Fold("Quality of the maps", tuple(table for table in tables if table.rows))


def chosen(explained: Sequence[Explained], most: int = MOST_MAPS) -> list[tuple[int, int]]:
    """Return (position in `explained`, position of the image) of the maps on the page, together by model."""
    turns = max((len(one.items) for one in explained), default=0)
    order = [(which, turn) for turn in range(turns) for which, one in enumerate(explained) if turn < len(one.items)]
    return sorted(order[:most])


def _sliders(results: Gathered, shown: Sequence[tuple[int, int]]) -> Iterator[Block]:
    # Imported here: matplotlib costs seconds that a report without maps need not pay.
    from medvlm_tui.report.saliency.overlay import overlay

    for which in dict.fromkeys(which for which, _ in shown):
        explained = results.explained[which]
        result = results.source.store.read(explained.key, STAGE.record)
        if result is None:
            continue
        yield Subtitle(f"{model_title(explained.model)}, {dataset_title(explained.dataset)}")
        for turn in (turn for other, turn in shown if other == which):
            image, values = result.arrays["images"][turn], result.arrays["maps"][turn]
            item = explained.items[turn]
            yield Slider(image, overlay(image, values), ("image", "map"), _caption(item))
            for place, name in enumerate(item.explained_classes):
                if place and name.startswith(PROMPT):
                    text = result.arrays["class_maps"][turn, place]
                    yield Slider(image, overlay(image, text), ("image", "map"), _of_prompt(item, name))


def _caption(item: ExplainedImage) -> str:
    right = "right" if item.label == item.predicted else f"true {item.label}"
    noise = " Mostly noise: too few masks for this map." if item.mostly_noise else ""
    score = "not stored" if item.score is None else f"{item.score:+.2f}"
    return f"{item.image}: score of {item.explained} {score}; predicted {item.predicted} ({right}).{noise}"


def _of_prompt(item: ExplainedImage, name: str) -> str:
    text = name.removeprefix(PROMPT)
    found = item.similarities.get(text)
    cosine = "" if found is None else f" {found:+.3f}"
    return f"{item.image}: cosine with “{text}”{cosine}."
