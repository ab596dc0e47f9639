"""Pages of saliency maps: many images of one model, and many models of one image. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.saliency.pages import Shown, draw_images, draw_models
from medvlm_tui.stages.saliency import SALIENCY


def saliency_pages(gathered: Gathered, store: Store, figures: Path) -> Iterator[FileWritten]:
    """Draw a page for each model and dataset with several images, and one for each image with several models."""
    by_image: dict[tuple[str, str], list[Shown]] = {}
    for explained in gathered.explained:
        result = store.read(explained.key, SALIENCY.record)
        if result is None:
            continue
        pictures = zip(explained.items, result.arrays["images"], result.arrays["maps"], strict=True)
        page = [Shown(explained, item, image, values) for item, image, values in pictures]
        for shown in page:
            by_image.setdefault((explained.dataset.spec.id, shown.item.image), []).append(shown)
        if len(page) > 1:
            path = figures / f"{file_stem('rise_images', explained.model.id, explained.dataset.spec.id)}.png"
            draw_images(path, page)
            yield FileWritten(str(path), "figure")
    for (dataset, image), page in by_image.items():
        if len(page) > 1:
            path = figures / f"{file_stem('rise_models', dataset, image)}.png"
            draw_models(path, page)
            yield FileWritten(str(path), "figure")
