"""The preprocessing lab's figures: accuracy under each change retrained and transferred, and what the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from medvlm_tui.core.specs import Dataset, ModelSpec
from medvlm_tui.core.store.store import Stored
from medvlm_tui.report.figures.canvas import COLOURS, bare, label, new_figure, save_chart, save_png, style
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.stages.records.measure import Measure
from medvlm_tui.stages.records.preprocessing import DEFAULT, PreprocessingRecord

_WAYS = (("accuracy_retrained", "retrained", COLOURS[0], 0.16), ("accuracy_transfer", "transferred", COLOURS[1], -0.16))
_PICTURES = 3


def draw_changes(path: Path, model: ModelSpec, dataset: Dataset, lab: Stored[PreprocessingRecord]) -> None:
    """Write accuracy and shift under each change with their intervals, the unchanged accuracy as a line."""
    record = lab.record
    names = list(reversed(record.measured))
    with style():
        figure = new_figure(7.2, 0.26 * len(names) + 1.2)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        unchanged = record.by_name["accuracy", DEFAULT]
        left.axvline(unchanged.value, color="#444444", lw=0.8, ls=":", label="unchanged")
        for name, said, colour, off in _WAYS:
            _row(left, [record.by_name[name, each] for each in names], off, colour, said)
        _row(right, [record.by_name["shift", each] for each in names], 0.0, COLOURS[2], "")
        left.set_yticks(range(len(names)), [label(name, 24) for name in names])
        left.set_ylim(-0.6, len(names) - 0.4)
        left.set_xlabel("accuracy")
        right.set_xlabel("shift / median distance")
        left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        _title(left, model, dataset, f"{record.n_train} + {record.n_test} images, 95 % intervals")
        save_chart(figure, path, _parameters(model, dataset, record))


def draw_pictures(path: Path, model: ModelSpec, dataset: Dataset, lab: Stored[PreprocessingRecord]) -> None:
    """Write what the model sees of the first shown images under each change."""
    record, pictures = lab.record, lab.arrays["pictures"]
    names, shown = [DEFAULT, *record.measured], record.shown[:_PICTURES]
    columns = min(len(names), 8)
    blocks = -(-len(names) // columns)
    with style():
        figure = new_figure(max(3.5, 1.05 * columns), 1.15 * blocks * len(shown) + 0.5)
        grid = figure.subplots(blocks * len(shown), columns, squeeze=False)
        for axes in grid.flat:
            bare(axes)
            axes.set_visible(False)
        for number, name in enumerate(names):
            block, column = divmod(number, columns)
            for row in range(len(shown)):
                axes = grid[block * len(shown) + row, column]
                axes.set_visible(True)
                axes.imshow(pictures[number, row])
                if row == 0:
                    axes.set_title(label(name, 18), fontsize=6.5)
        figure.suptitle(label(f"{model_title(model)} · {dataset_title(dataset)}", 70), x=0.01, ha="left", fontsize=8)
        save_png(figure, path, _parameters(model, dataset, record))


def _row(axes: Axes, found: Sequence[Measure], off: float, colour: str, said: str) -> None:
    values = np.array([measure.value for measure in found])
    ends = np.array([measure.ends for measure in found]).T
    places = np.arange(len(found)) + off
    axes.errorbar(values, places, xerr=np.abs(ends - values), fmt="o", color=colour, ms=3, lw=0.9, label=said or None)


def _title(axes: Axes, model: ModelSpec, dataset: Dataset, how: str) -> None:
    axes.set_title(label(f"{model_title(model)} · {dataset_title(dataset)} · {how}", 110), loc="left", pad=20)


def _parameters(model: ModelSpec, dataset: Dataset, record: PreprocessingRecord) -> dict[str, object]:
    """Return what the picture's file says of itself."""
    return {
        "model": model.id, "dataset": dataset.spec.id, "changes": list(record.measured), "train": record.n_train,
        "test": record.n_test, "t": record.t, "seed": record.seed,
    }  # fmt: skip
