"""A map as a screen shows it, as a figure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.report.figures.canvas import (
    bare,
    beside,
    label,
    new_figure,
    save_pdf,
    save_png,
    save_svg,
    style,
)
from medvlm_tui.report.maps.scatter import class_handles, scatter_classes

FORMATS = (".png", ".svg", ".pdf")


def draw_points(
    path: Path,
    xy: NDArray[np.floating],
    labels: Sequence[str],
    names: Sequence[str],
    title: str,
    formats: Collection[str] = FORMATS,
) -> None:
    """Write the scatter of points (m, 2) in the colours of their `labels` (m,), all among `names`, in each format."""
    present = [name for name in names if name in set(labels)]
    with style():
        figure = new_figure(5.6, 4.6)
        axes = figure.add_subplot()
        scatter_classes(axes, np.asarray(xy, np.float32), np.asarray(labels), present)
        bare(axes)
        figure.suptitle("\n".join(label(line, 110) for line in title.split("\n")), x=0.01, ha="left", fontsize=9)
        beside(axes, class_handles(present, labels))
        if ".png" in formats:
            save_png(figure, path.with_suffix(".png"), {})
        if ".svg" in formats:
            save_svg(figure, path.with_suffix(".svg"))
        if ".pdf" in formats:
            save_pdf(figure, path.with_suffix(".pdf"), {})
