"""The bias lab's figures: images with and without words, what the words do, where the map goes, models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from medvlm_tui.core.specs import Dataset, ModelSpec
from medvlm_tui.core.store.store import Stored
from medvlm_tui.measures.map_noise import MOSTLY_NOISE
from medvlm_tui.report.figures.canvas import COLOUR_MAP, COLOURS, bare, label, new_figure, save_chart, save_png, style
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.saliency.one_map import NOISE_COLOUR
from medvlm_tui.stages.records.bias import BiasRecord

_ROWS = 4
_TESTS = ("matching", "random", "reversed")
_WAYS = ("as it is", "blank", "inpaint", "border")


def draw_overlays(path: Path, model: ModelSpec, dataset: Dataset, lab: Stored[BiasRecord]) -> None:
    """Write the first shown images plain and with each overlay: shift, and the predicted class with and without."""
    record, arrays = lab.record, lab.arrays
    kinds, shown = ["plain", *record.kinds], record.shown[:_ROWS]
    predicted = arrays["scores"].argmax(axis=2)
    with style():
        # Not narrower than its title.
        figure = new_figure(max(3.5, 1.45 * len(kinds)), 1.75 * len(shown) + 0.5)
        grid = figure.subplots(len(shown), len(kinds), squeeze=False)
        for row, position in enumerate(shown):
            for column, kind in enumerate(kinds):
                axes = grid[row, column]
                axes.imshow(arrays["pictures"][row, column])
                bare(axes)
                said = label(record.classes[predicted[column, position]], 18)
                axes.set_xlabel(said, fontsize=6.5, labelpad=2)
                if column and predicted[column, position] != predicted[0, position]:
                    axes.xaxis.label.set_color(COLOURS[1])
                moved = f"{kind}\nshift {arrays['shifts'][column - 1, position]:.2f}" if column else "plain"
                axes.set_title(moved, fontsize=6.5)
        word = label(record.words[0], 12)
        _title(figure, model, dataset, f"word {word}; predicted class below, orange: flipped")
        save_png(figure, path, _parameters(model, dataset, record))


def draw_measures(path: Path, model: ModelSpec, dataset: Dataset, lab: Stored[BiasRecord]) -> None:
    """Write shift and flips by overlay, accuracy by correlation in training, and accuracy after taking words out."""
    record = lab.record
    with style():
        figure = new_figure(7.6, 2.75)
        panels = figure.subplots(1, 3)
        kinds = record.kinds
        _bars(panels[0], [("shift", kind) for kind in kinds], record, kinds)
        panels[0].set_ylabel("shift / median distance")
        _levels(panels[1], record)
        ways = [way for way in _WAYS if ("removal_reversed", way) in record.by_name]
        _bars(panels[2], [("removal_reversed", way) for way in ways], record, ways)
        panels[2].set_ylabel("accuracy, words reversed")
        panels[2].set_ylim(0, 1)
        _title(figure, model, dataset, f"{record.n_train} + {record.n_test} images, 95 % intervals")
        save_chart(figure, path, _parameters(model, dataset, record))


def draw_word_maps(path: Path, model: ModelSpec, dataset: Dataset, lab: Stored[BiasRecord]) -> None:
    """Write images that bear their class's word, and the maps of two classifiers: one trained on images whose words
    tell nothing of the class, one on images of which the highest share bear their class's word."""
    record, arrays = lab.record, lab.arrays
    places = _of_every_class([item.label for item in record.map_items])
    with style():
        figure = new_figure(5.0, 1.75 * len(places) + 0.5)
        grid = figure.subplots(len(places), 3, squeeze=False)
        for row, place in enumerate(places):
            item, pictures = record.map_items[place], [arrays["map_images"][place], *arrays["maps"][place]]
            names = [f"{label(item.label, 14)} · {label(item.word, 10)}"]
            names += [
                f"own word on {level:.0%}\nsays {label(said, 16)}"
                for level, said in zip(record.map_levels, item.predicted, strict=True)
            ]
            left, top, right, bottom = (int(edge) for edge in arrays["map_boxes"][place])
            marked = [False, *item.mostly_noise]
            for axes, picture, name, noisy in zip(grid[row], pictures, names, marked, strict=True):
                axes.imshow(picture, cmap=COLOUR_MAP)
                box = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec="white", lw=0.8)
                axes.add_patch(box)
                bare(axes)
                axes.set_title(name, fontsize=6.5)
                if noisy:
                    axes.set_xlabel(MOSTLY_NOISE, fontsize=6.5, labelpad=2, color=NOISE_COLOUR)
        how = f"{record.rise_masks} reduced masks, hidden pixels: {record.rise_fill}"
        _title(figure, model, dataset, f"{how}; the box is the word")
        save_png(figure, path, _parameters(model, dataset, record))


def draw_models(
    path: Path, dataset: Dataset, labs: Sequence[tuple[ModelSpec, Stored[BiasRecord]]], name: str, condition: str
) -> None:
    """Write one measure of several models on a dataset with its intervals, the largest on top, by group."""
    found = [(model, lab.record.by_name[name, condition]) for model, lab in labs]
    found.sort(key=lambda pair: pair[1].value)
    groups = list(dict.fromkeys(model.group for model, _ in found))
    with style():
        figure = new_figure(5.2, 0.22 * len(found) + 1.1)
        axes = figure.subplots()
        for place, (model, m) in enumerate(found):
            colour = COLOURS[groups.index(model.group) % len(COLOURS)]
            axes.plot(m.ends, [place, place], color=colour, lw=1.2)
            first = model.group not in [other.group for other, _ in found[:place]]
            axes.plot(m.value, place, "o", color=colour, ms=4, label=model.group if first else None)
        axes.set_yticks(range(len(found)), [label(model_title(model), 30) for model, _ in found])
        axes.set_xlabel(f"{name.replace('_', ' ')}, {condition}")
        axes.legend(loc="lower right")
        axes.set_title(label(dataset_title(dataset), 50), loc="left")
        save_chart(figure, path, {"dataset": dataset.spec.id, "measure": name, "condition": condition})


def _of_every_class(labels: Sequence[str]) -> list[int]:
    """Return the places of the images to draw: one of each class in turn, as many as there are rows."""
    places = {name: [i for i, label_ in enumerate(labels) if label_ == name] for name in dict.fromkeys(labels)}
    rounds = range(max(map(len, places.values()), default=0))
    return [of[turn] for turn in rounds for of in places.values() if turn < len(of)][:_ROWS]


def _bars(axes: Axes, wanted: Sequence[tuple[str, str]], record: BiasRecord, names: Sequence[str]) -> None:
    found = [record.by_name[key] for key in wanted]
    values = np.array([m.value for m in found])
    reach = np.abs(np.array([m.ends for m in found]).T - values)
    axes.bar(range(len(found)), values, yerr=reach, color=COLOURS[0], ecolor="#222222", error_kw={"lw": 0.8})
    axes.set_xticks(range(len(found)), names, rotation=30, ha="right")
    axes.set_xlim(-0.6, max(len(found), 3) - 0.4)
    axes.spines[["top", "right"]].set_visible(False)


def _levels(axes: Axes, record: BiasRecord) -> None:
    table, levels = record.by_name, list(record.levels)
    for test, colour in zip(_TESTS, (COLOURS[2], COLOURS[6], COLOURS[1]), strict=True):
        found = [table[f"accuracy_{test}", f"{level:.3g}"] for level in levels]
        axes.plot(levels, [m.value for m in found], "o-", color=colour, ms=3, lw=1.0, label=test)
        axes.fill_between(levels, *np.array([m.ends for m in found]).T, color=colour, alpha=0.15, lw=0)
    axes.axvline(1 / len(record.words), color="#888888", lw=0.8, ls=":")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("training images with their class's word\n(dotted: words tell nothing)")
    axes.set_ylabel("accuracy")
    axes.legend(loc="best", title="words in test", title_fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _title(figure: Any, model: ModelSpec, dataset: Dataset, what: str) -> None:
    head = f"{label(model_title(model), 30)} · {label(dataset_title(dataset), 36)}"
    figure.suptitle(f"{head}\n{label(what, 90)}", x=0.01, ha="left", fontsize=8.5)


def _parameters(model: ModelSpec, dataset: Dataset, record: BiasRecord) -> dict[str, object]:
    names = (
        "words",
        "position",
        "height",
        "contrast",
        "controls",
        "n_train",
        "n_test",
        "rise_masks",
        "rise_fill",
        "seed",
        "versions",
    )
    drawn = {name: getattr(record, name) for name in names}
    return {**drawn, "model": model.id, "dataset": dataset.spec.id, "synthetic": dataset.spec.synthetic}
