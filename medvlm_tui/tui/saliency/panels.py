"""The pictures of saliency: image, map and overlay of one model, or the overlays of two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container

from medvlm_tui.core.safe_text import clean
from medvlm_tui.measures.map_noise import MOSTLY_NOISE, mostly_noise
from medvlm_tui.render.half_blocks import joined
from medvlm_tui.render.heat import colour_bar, heat, overlay
from medvlm_tui.render.palette import Depth
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.stages.records.saliency import PreviewRecord, SaliencyRecord
from medvlm_tui.tui.saliency.beside import BesideModel, map_of
from medvlm_tui.tui.saliency.words import error_so_far
from medvlm_tui.tui.shared.picture import Drawing, Picture
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored

LAYOUTS = (("image", "heat", "overlay"), ("heat", "overlay"), ("overlay",))
"""The pictures that are shown; the fewer, the larger."""
LAYOUTS_BESIDE = (("image", "overlay", "beside"), ("overlay", "beside"))
_SCALE_FROM = 8
"""Lines of a picture from which two are spent on its colour scale."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of a result that is drawn."""

    found: Stored[SaliencyRecord] | Stored[PreviewRecord]
    index: int
    explained: int
    """Place of the explained class."""
    outlined: bool
    shows_errors: bool
    layout: int
    name: str
    """The model's, safe to show."""
    other: BesideModel | None = None

    @property
    def values(self) -> NDArray[np.floating]:
        """The map (H, W)."""
        arrays = self.found.arrays
        if self.explained and "class_maps" in arrays:
            return np.asarray(arrays["class_maps"][self.index, self.explained])
        return np.asarray(arrays["maps"][self.index])

    @property
    def error(self) -> float | None:
        """The relative standard error of maps that grow."""
        arrays = self.found.arrays
        return error_so_far(arrays["maps"][self.index], arrays["errors"][self.index])

    @property
    def frames(self) -> tuple[str, ...]:
        """The pictures that are shown."""
        layouts = LAYOUTS if self.other is None else LAYOUTS_BESIDE
        return layouts[self.layout % len(layouts)]


class SaliencyPanels(Container):
    """Up to three pictures side by side."""

    def compose(self) -> ComposeResult:
        """Every picture that a layout may have."""
        yield Picture("image", widget_id="image")
        yield Picture("map", widget_id="heat")
        yield Picture("overlay", widget_id="overlay")
        yield Picture("", widget_id="beside")

    def draw(self, shown: Shown) -> None:
        """Draw what is shown, all pictures as wide as the narrowest frame."""
        for picture in self.query(Picture):
            picture.display = picture.id in shown.frames
        found, arrays = shown.found, shown.found.arrays
        image, values = arrays["images"][shown.index], shown.values
        most = self.app.size.width // len(shown.frames) - 2
        lesions = arrays.get("lesions") if shown.outlined else None
        region = None if lesions is None else lesions[shown.index]
        errors = arrays["errors"][shown.index] if shown.shows_errors and "errors" in arrays else None
        for name, drawing in (
            ("#image", partial(thumbnail, image, region=region)),
            ("#heat", partial(scaled, values if errors is None else errors, errors is not None)),
            ("#overlay", partial(overlay, values, image, region=region)),
        ):
            self.query_one(name, Picture).show_drawing(partial(_no_wider, drawing, most))
        self.query_one("#image", Picture).set_title(f"image {shown.index + 1} of {len(arrays['images'])}")
        self._head_map(shown)
        noisy = "heat" not in shown.frames and self.query_one("#heat").has_class("-noise")
        over = self.query_one("#overlay", Picture)
        over.set_class(noisy, "-noise")
        over.set_title("overlay" if shown.other is None else shown.name, MOSTLY_NOISE if noisy else "")
        if shown.other is not None and isinstance(found.record, SaliencyRecord):
            self._draw_beside(shown, shown.other, found, most)

    def _draw_beside(self, shown: Shown, other: BesideModel, found: Stored[Any], most: int) -> None:
        panel = self.query_one("#beside", Picture)
        item = found.record.items[shown.index]
        classes = item.explained_classes or (item.explained,)
        theirs = map_of(other.found, item.image, classes[shown.explained % len(classes)])
        panel.set_class(theirs is not None and theirs.item.mostly_noise, "-noise")
        if theirs is None:
            panel.set_title(other.name)
            panel.say(Text("no map of this image", style=GREY))
            return
        noise = f"{MOSTLY_NOISE} · " if theirs.item.mostly_noise else ""
        panel.set_title(other.name, f"{noise}predicted {clean(theirs.item.predicted)}")
        region = theirs.region if shown.outlined else None
        panel.show_drawing(partial(_no_wider, partial(overlay, theirs.values, theirs.image, region=region), most))

    def _head_map(self, shown: Shown) -> None:
        """Name the map's frame; of a map that is mostly noise the frame says so, in the colour of warnings."""
        record = shown.found.record
        if isinstance(record, PreviewRecord):
            error = shown.error
            noisy = mostly_noise(error)
        else:
            item = record.items[shown.index]
            error = item.relative_error
            noisy = not shown.explained and (item.mostly_noise or (error is not None and mostly_noise(error)))
        panel = self.query_one("#heat", Picture)
        panel.set_class(noisy, "-noise")
        if shown.shows_errors and "errors" in shown.found.arrays:
            panel.set_title("standard error", "e shows the map")
            return
        title = "map" if not noisy else MOSTLY_NOISE if error is None else f"{MOSTLY_NOISE}: {error:.2f}"
        panel.set_title(title, _progress(shown) or ("+ adds masks" if noisy else ""))


def _progress(shown: Shown) -> str:
    """Return `1,536 / 4,096 masks` and the standard error of maps that grow."""
    record = shown.found.record
    if not isinstance(record, PreviewRecord):
        return ""
    error = shown.error
    said = "" if error is None else f" · standard error {error:.2f}"
    return f"{record.items[shown.index].masks:,} / {record.masks_asked:,} masks{said}"


def scaled(values: NDArray[np.floating], from_zero: bool, width: int, height: int, depth: Depth) -> Text:
    """Return a map with its colour scale below it; standard errors are drawn from zero on."""
    low, high = (0.0 if from_zero else float(values.min())), float(values.max())
    if height < _SCALE_FROM:
        return heat(values, width, height, depth, (low, high))
    drawn = heat(values, width, height - 2, depth, (low, high))
    across = max(line.cell_len for line in drawn.split("\n"))
    return joined([*drawn.split("\n"), *colour_bar(across, low, high, depth).split("\n")])


def _no_wider(draw: Drawing, most: int, width: int, height: int, depth: Depth) -> Text:
    return draw(min(width, most), height, depth)
