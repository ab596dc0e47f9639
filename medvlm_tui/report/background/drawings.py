"""The figures of covered lesions: accuracy under each condition, and the images as the model sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medvlm_tui.core.specs import Dataset, ModelSpec
from medvlm_tui.core.store.store import Stored
from medvlm_tui.report.figures.canvas import COLOURS, bare, label, new_figure, save_chart, save_png, style
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.stages.records.background import POSITION, WHOLE, BackgroundRecord

_PICTURES = 4
_COLOUR_OF = {WHOLE: COLOURS[0], "covered": COLOURS[1], "moved": COLOURS[2], "only": COLOURS[4], POSITION: COLOURS[6]}


def draw_accuracies(path: Path, model: ModelSpec, dataset: Dataset, found: Stored[BackgroundRecord]) -> None:
    """Write the accuracy under each condition with its interval, and chance as a line."""
    record = found.record
    measures = [record.by_name["accuracy", name] for name in reversed(record.conditions)]
    with style():
        figure = new_figure(5.2, 0.26 * len(measures) + 1.0)
        axes = figure.subplots()
        for place, measure in enumerate(measures):
            colour = _COLOUR_OF[measure.condition.split()[0]]
            axes.plot(measure.ends, [place, place], color=colour, lw=1.2)
            axes.plot(measure.value, place, "o", color=colour, ms=4)
        if measures[0].chance is not None:
            axes.axvline(measures[0].chance, color="#888888", lw=0.8, ls=":")
        axes.set_yticks(range(len(measures)), [label(measure.condition, 24) for measure in measures])
        axes.set_xlabel("accuracy (dotted: the commonest class)")
        axes.spines[["top", "right"]].set_visible(False)
        how = (
            f"{record.n_train} + {record.n_test} images with lesions, square {record.side_share:.0%} of the short side"
        )
        head = f"{label(model_title(model), 30)} · {label(dataset_title(dataset), 36)}"
        figure.suptitle(f"{head}\n{how}", x=0.01, ha="left", fontsize=8.5)
        save_chart(figure, path, _parameters(model, dataset, record))


def draw_pictures(path: Path, model: ModelSpec, dataset: Dataset, found: Stored[BackgroundRecord]) -> None:
    """Write what the model sees of the first shown images under each condition."""
    record, pictures = found.record, found.arrays["pictures"]
    names, count = [name for name in record.conditions if name != POSITION], len(record.shown[:_PICTURES])
    with style():
        figure = new_figure(max(3.5, 1.3 * len(names)), 1.35 * count + 0.5)
        grid = np.asarray(figure.subplots(count, len(names), squeeze=False))
        for row in range(count):
            for column, name in enumerate(names):
                grid[row, column].imshow(pictures[column, row])
                bare(grid[row, column])
                if row == 0:
                    grid[row, column].set_title(label(name, 18), fontsize=6.5)
        figure.suptitle(label(f"{model_title(model)} · {dataset_title(dataset)}", 70), x=0.01, ha="left", fontsize=8)
        save_png(figure, path, _parameters(model, dataset, record))


def _parameters(model: ModelSpec, dataset: Dataset, record: BackgroundRecord) -> dict[str, object]:
    """Return what the picture's file says of itself."""
    return {
        "model": model.id, "dataset": dataset.spec.id, "conditions": list(record.conditions), "train": record.n_train,
        "test": record.n_test, "side_share": record.side_share, "t": record.t, "seed": record.seed,
    }  # fmt: skip
