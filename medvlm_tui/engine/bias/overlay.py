"""Words drawn into images, and controls of the same ink: what the bias lab adds and takes away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medvlm_tui.engine.images.font import font_path
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.params.bias import OVERLAYS, POSITIONS

Box = tuple[int, int, int, int]
_TILES = 4  # a glyph strip is cut into tiles of a quarter of its height for the scrambled control


@dataclass(frozen=True, slots=True)
class OverlaySpec:
    """One overlay; sizes are shares of the image's short side, so that every image gets the same picture."""

    word: str
    kind: str = "text"
    """One of OVERLAYS."""
    position: str = "bottom_left"
    height: float = 0.08
    contrast: float = 1.0
    """1 is white ink on black, 0 is invisible: ink is blended with the image."""
    margin: float = 0.10
    """Distance from the edges; a centre crop takes up to 6 % of the short side and more of the long one."""
    background: bool = False
    """A black box below the word, as scanners draw it."""
    seed: int = 0
    """Of the scrambled tiles and the lines."""


@dataclass(frozen=True, slots=True)
class Overlaid:
    """An image with something drawn into it."""

    image: Image.Image
    box: Box
    """(left, top, right, bottom) of the word, or where it would stand."""
    ink: float
    """Sum of the ink's opacity in pixels: equal for the text and its controls to within a pixel's rounding."""


def draw_overlay(image: Image.Image, spec: OverlaySpec) -> Overlaid:
    """Return an RGB image with the overlay; raises UsageError for a place or size that it cannot have.

    Every kind has the ink (summed opacity) of the word: `box` spreads it evenly over the word's rectangle,
    `scrambled` moves the word's tiles about, `lines` draws dashes and `calipers` two crosses with a dotted line.
    """
    ink = ink_of(spec, min(image.size))
    box = place(image.size, (ink.shape[1], ink.shape[0]), spec)
    pixels = np.asarray(image.convert("RGB")).astype(np.float64)
    left, top, right, bottom = box
    part = pixels[top:bottom, left:right]
    if spec.background:
        part *= 1.0 - spec.contrast
    alpha = spec.contrast * ink[..., None]
    pixels[top:bottom, left:right] = part * (1 - alpha) + 255.0 * alpha
    drawn = Image.fromarray(np.rint(pixels).astype(np.uint8))
    return Overlaid(drawn, box, float(ink.sum() * spec.contrast))


def ink_of(spec: OverlaySpec, short_side_px: int) -> NDArray[np.float64]:
    """Return the opacity (h, w), 0 to 1, of an overlay on an image with this short side."""
    if spec.kind not in OVERLAYS:
        raise UsageError(f"unknown overlay {spec.kind!r}", f"one of {', '.join(OVERLAYS)}")
    if not (0 < spec.height <= 0.5 and 0 <= spec.contrast <= 1 and spec.word):
        raise UsageError("this overlay cannot be drawn", "a word, height in (0, 0.5], contrast in [0, 1]")
    text = glyphs(spec.word, max(6, round(spec.height * short_side_px)))
    if spec.kind == "text":
        return text
    if spec.kind == "box":
        return np.full(text.shape, text.mean())
    random = np.random.default_rng([spec.seed, 1])
    if spec.kind == "scrambled":
        return _scrambled(text, random)
    return _with_ink(_lines(text.shape, random) if spec.kind == "lines" else _calipers(text.shape), float(text.sum()))


def glyphs(word: str, height_px: int) -> NDArray[np.float64]:
    """Return a word's opacity (h, w) in DejaVu Sans, whose font size is `height_px`."""
    font = _font(height_px)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(word))
    canvas = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(canvas).text((-left, -top), word, fill=255, font=font)
    return np.asarray(canvas).astype(np.float64) / 255.0


def place(image: tuple[int, int], overlay: tuple[int, int], spec: OverlaySpec) -> Box:
    """Return where an overlay (width, height) stands in an image (width, height).

    Margins are measured from the central square, which every preprocessing of the catalog keeps.
    """
    if spec.position not in POSITIONS:
        raise UsageError(f"unknown position {spec.position!r}", f"one of {', '.join(POSITIONS)}")
    side, (width, height) = min(image), overlay
    inset = round(spec.margin * side)
    if width > side - 2 * inset or height > side - 2 * inset:
        raise UsageError(f"{spec.word!r} is wider than the image", "a smaller height, or a smaller margin")
    x0, y0 = (image[0] - side) // 2 + inset, (image[1] - side) // 2 + inset
    free_x, free_y = side - 2 * inset - width, side - 2 * inset - height
    x = x0 + (0 if "left" in spec.position else free_x if "right" in spec.position else free_x // 2)
    y = y0 + (0 if "top" in spec.position else free_y if "bottom" in spec.position else free_y // 2)
    return x, y, x + width, y + height


def _scrambled(text: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Permute the tiles of a word: the same ink, edges and grey levels without a letter."""
    tile = max(2, text.shape[0] // _TILES)
    height, width = -(-text.shape[0] // tile) * tile, -(-text.shape[1] // tile) * tile
    padded = np.zeros((height, width))
    padded[: text.shape[0], : text.shape[1]] = text
    tiles = padded.reshape(height // tile, tile, width // tile, tile).swapaxes(1, 2).reshape(-1, tile, tile)
    mixed = tiles[random.permutation(len(tiles))]
    whole = mixed.reshape(height // tile, width // tile, tile, tile).swapaxes(1, 2).reshape(height, width)
    return np.asarray(whole)


def _lines(shape: tuple[int, int], random: np.random.Generator) -> NDArray[np.float64]:
    """Return where straight strokes at random angles go first: larger is earlier."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    nearest = np.full(shape, np.inf)
    for _ in range(max(2, shape[1] // max(shape[0], 1))):
        angle, middle = random.uniform(0, np.pi), random.uniform(0, 1, size=2) * (shape[1], shape[0])
        nearest = np.minimum(nearest, np.abs((x - middle[0]) * np.sin(angle) - (y - middle[1]) * np.cos(angle)))
    return np.asarray(-nearest)


def _calipers(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return where two crosses and the line between them go first: larger is earlier."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    arm, middle = shape[0] / 2, (shape[0] - 1) / 2
    crosses = np.full(shape, np.inf)
    for centre in (arm, shape[1] - 1 - arm):
        across, along = np.abs(x - centre), np.abs(y - middle)
        crosses = np.minimum(crosses, np.where(np.maximum(across, along) <= arm, np.minimum(across, along), np.inf))
    dots = np.where((x // max(1, shape[0] // 4)) % 2 == 0, np.abs(y - middle) + 0.5, np.abs(y - middle) + shape[0])
    return np.asarray(-np.minimum(crosses, dots))


def _with_ink(order: NDArray[np.float64], ink: float) -> NDArray[np.float64]:
    """Return full opacity on the first `ink` pixels of an order, and what is left over on the next one."""
    flat, ranked = np.zeros(order.size), np.argsort(-order.ravel(), kind="stable")
    whole = min(int(ink), order.size)
    flat[ranked[:whole]] = 1.0
    if whole < order.size:
        flat[ranked[whole]] = ink - whole
    return flat.reshape(order.shape)


@cache
def _font(height_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_path()), height_px)
