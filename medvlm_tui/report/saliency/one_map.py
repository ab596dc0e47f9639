"""A saliency map beside its image: image, map, overlay, one colour bar."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.colorbar import Colorbar
from numpy.typing import NDArray

from medvlm_tui.measures.map_noise import MOSTLY_NOISE
from medvlm_tui.report.figures.canvas import COLOUR_MAP, bare, label, new_figure, save_png, style
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.results.run_results import Explained
from medvlm_tui.stages.params.saliency import PROMPT
from medvlm_tui.stages.records.saliency import ExplainedImage

OPACITY = 0.5
NOISE_COLOUR = "#d55e00"


def draw_saliency(
    path: Path, explained: Explained, item: ExplainedImage, image: NDArray[np.uint8], values: NDArray[np.float32]
) -> None:
    """Write image (H, W, 3) as the model sees it, its map (H, W), and the map over the grey image.

    The colours run from the map's smallest to its largest value, which the bar names.
    """
    grey = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    with style():
        figure = new_figure(7.4, 2.95)
        panels = figure.subplots(1, 3)
        panels[0].imshow(image)
        shown = panels[1].imshow(values, cmap=COLOUR_MAP)
        panels[2].imshow(grey)
        panels[2].imshow(values, cmap=COLOUR_MAP, alpha=OPACITY)
        for axes, name in zip(panels, ("image", "RISE map", "overlay"), strict=True):
            bare(axes)
            axes.set_frame_on(False)
            axes.set_title(name, fontsize=8)
        bar = figure.colorbar(shown, ax=list(panels), shrink=0.85, pad=0.01)
        _name_ends(bar, float(values.min()), float(values.max()))
        bar.outline.set_visible(False)
        bar.set_label(_of_score(item))
        figure.suptitle(_title(explained, item), x=0.01, ha="left", fontsize=9)
        if item.mostly_noise:
            figure.text(0.01, 0.02, noise_note(item), color=NOISE_COLOUR, fontsize=9, weight="bold")
        save_png(figure, path, parameters(explained, item))


def _of_score(item: ExplainedImage) -> str:
    if item.explained.startswith(PROMPT):
        return f"cosine with “{label(item.explained.removeprefix(PROMPT), 40)}”"
    return f"score for {label(item.explained, 24)}"


def _name_ends(bar: Colorbar, low: float, high: float) -> None:
    """Put ticks at the ends and the middle of the bar, to three digits of its range."""
    ticks = [low, (low + high) / 2, high] if high > low else [low]
    digits = max(0, 2 - math.floor(math.log10(high - low))) if high > low else 3
    bar.set_ticks(ticks, labels=[f"{tick:.{digits}f}" for tick in ticks])


def noise_note(item: ExplainedImage) -> str:
    """Return what stands on the page of a map that carries the mark."""
    if item.relative_error is None:
        return f"{MOSTLY_NOISE}: too few masks to know its standard error"
    return f"{MOSTLY_NOISE}: standard error {item.relative_error:.2f} of the map's spread"


def parameters(explained: Explained, item: ExplainedImage) -> dict[str, object]:
    """Return what the PNG's text chunk says of the map."""
    return {
        **explained.parameters,
        "model": explained.model.id,
        "dataset": explained.dataset.spec.id,
        "label_view": explained.dataset.view,
        "image": item.image,
        "label": item.label,
        "predicted": item.predicted,
        "explained": item.explained,
        "score": item.score,
        "relative_error": item.relative_error,
        "mostly_noise": item.mostly_noise,
        "key": explained.key,
        "synthetic": explained.dataset.spec.synthetic,
    }


def _title(explained: Explained, item: ExplainedImage) -> str:
    head = f"{label(model_title(explained.model), 30)} · {label(dataset_title(explained.dataset), 36)}"
    right = "right" if item.label == item.predicted else f"true {label(item.label, 28)}"
    masks = explained.parameters.get("masks")
    made = f" · {masks:,} masks" if isinstance(masks, int) else ""
    score = "" if item.score is None else f" · score {item.score:+.2f}"
    second = f"predicted {label(item.predicted, 28)} ({right}){score}{made}"
    return f"{head} · {label(item.image, 44)}\n{second}"
