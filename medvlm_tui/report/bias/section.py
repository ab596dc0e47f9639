"""The bias lab on the page: what words burned into images do to each model, with the images themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Stored
from medvlm_tui.report.bias import rows
from medvlm_tui.report.page.blocks import BIAS, Block, Drawing, Fold, Paragraph, Section, Slider, figures_in
from medvlm_tui.report.results.naming import dataset_title, file_stem, model_title
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.stages.records.bias import BiasRecord

MOST_PICTURES = 24
"""On the page: images with and without a word; and as many maps of classifiers that were trained on words."""
_OF_ONE_LAB = 4


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of the bias lab where the run has one; `written` are the files that lie beside the page."""
    found = rows.labs(results.source)
    if found:
        figures = figures_in(written)
        yield Section("bias", "Bias lab: words burned into images", BIAS, tuple(_blocks(results, found, figures)))


def _blocks(
    results: Gathered, found: Sequence[tuple[Step, Stored[BiasRecord]]], figures: dict[str, Path]
) -> Iterator[Block]:
    source = results.source
    yield Paragraph(
        "Shift: how far a word moves the features, over the median distance of images. Flip rate: predicted classes "
        "that a word changes. Reversed: accuracy where the words stand on the wrong class."
    )
    for stem, path in figures.items():
        if stem.startswith("bias_models_"):
            yield Drawing(path, "Models side by side")
    each = min(_OF_ONE_LAB, max(1, MOST_PICTURES // len(found)))
    for number, (step, lab) in enumerate(found):
        names = f"{model_title(source.models[step.model])} on {dataset_title(source.datasets[step.dataset])}"
        chart = figures.get(file_stem("bias", step.model, step.dataset))
        if chart is not None:
            yield Drawing(chart, f"Measures of the lab: {names}")
        if number < MOST_PICTURES:
            yield Fold(f"Pictures: {names}", (*_words(lab, each), *_maps(lab, each)))
    yield Fold("Every measure", rows.measured(results))


def _words(lab: Stored[BiasRecord], most: int) -> Iterator[Block]:
    record, arrays = lab.record, lab.arrays
    predicted = arrays["scores"].argmax(axis=2)
    for row, position in enumerate(record.shown[:most]):
        plain, word = (record.classes[predicted[column, position]] for column in (0, 1))
        shift = float(arrays["shifts"][0, position])
        caption = f"{record.images[position]}: shift {shift:.2f}; predicted {plain} without the word, {word} with it"
        yield Slider(arrays["pictures"][row, 0], arrays["pictures"][row, 1], ("without", "with"), caption)


def _maps(lab: Stored[BiasRecord], most: int) -> Iterator[Block]:
    # Imported here: matplotlib costs seconds that a report without maps need not pay.
    from medvlm_tui.report.saliency.overlay import overlay

    items = lab.record.map_items[:most]
    for row, item in enumerate(items):
        image, values = lab.arrays["map_images"][row], lab.arrays["maps"][row, 1]
        level = lab.record.map_levels[1]
        caption = (
            f"{item.image} with the word {item.word}: map of the classifier trained with {level:.0%} of the "
            f"images bearing their class's word; it says {item.predicted[1]}"
        )
        yield Slider(image, overlay(image, values), ("image", "map"), caption)
