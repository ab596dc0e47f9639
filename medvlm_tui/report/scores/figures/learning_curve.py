"""Learning curves: the score of every model on one dataset against the images it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medvlm_tui.report.figures.canvas import beside, label, look_of, new_figure, save_chart, style
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import dataset_title, model_title

Point = tuple[int, float, float]
"""Training images, mean, spread over the draws."""


def curve(cell: Cell, metric: str = "accuracy") -> list[Point]:
    """Return the points of a cell's readings, fewest training images first."""
    points = []
    for reading in cell.readings:
        found = next((m for m in reading.metrics if m.name == metric and m.mean is not None), None)
        if found is not None and found.mean is not None:
            points.append((reading.n_train, found.mean, found.std or 0.0))
    return sorted(points)


def draw_learning_curves(path: Path, cells: Sequence[Cell]) -> None:
    """Write the few-shot accuracies of one dataset's cells; bars are the spread over the draws of training images."""
    with style():
        figure = new_figure(6.4, 4.0)
        axes = figure.add_subplot()
        handles = []
        for index, cell in enumerate(cells):
            colour, marker = look_of(index)
            sizes, means, spreads = zip(*curve(cell), strict=True)
            drawn = axes.errorbar(
                sizes, means, yerr=spreads, color=colour, marker=marker, ms=4, lw=1, elinewidth=0.7,
                label=label(model_title(cell.model), 28),
            )  # fmt: skip
            handles.append(drawn)
        ticks = sorted({point[0] for cell in cells for point in curve(cell)})
        axes.set(xscale="log", xlabel="training images", ylabel="accuracy on the hold-out", ylim=(0, 1.02))
        axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
        axes.minorticks_off()
        axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        beside(axes, handles)  # type: ignore[arg-type]
        draws = len(cells[0].metrics[0].folds) if cells[0].metrics else 0
        title = f"{label(dataset_title(cells[0].dataset), 44)} · few-shot, {draws} draws of the training images"
        figure.suptitle(title, x=0.01, ha="left", fontsize=9)
        save_chart(figure, path, _parameters(cells))


def _parameters(cells: Sequence[Cell]) -> dict[str, object]:
    return {
        "dataset": cells[0].dataset.spec.id,
        "label_view": cells[0].dataset.view,
        "curves": {cell.model.id: curve(cell) for cell in cells},
        "keys": [cell.probe_key for cell in cells],
        "synthetic": cells[0].dataset.spec.synthetic,
    }
