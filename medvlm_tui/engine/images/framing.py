"""Resize, padding and crop of an RGB image as a `PreprocessSpec` says, on Pillow alone: decoders hold no torch."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.images.raster import MAX_PIXELS
from medvlm_tui.errors import ImageError

Resample = Callable[[Image.Image, tuple[int, int], PreprocessSpec], Image.Image]
_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


def by_pillow(spec: PreprocessSpec) -> bool:
    """Return whether Pillow does the whole resize: nothing is interpolated in floating point or without antialias."""
    return spec.antialias and spec.resize not in ("long_side_pad", "squash_float")


def pillow_resample(image: Image.Image, target: tuple[int, int], spec: PreprocessSpec) -> Image.Image:
    """Scale to (width, height) with antialias."""
    return image.resize(target, _RESAMPLING[spec.interpolation])


def framed(image: Image.Image, spec: PreprocessSpec, resample: Resample = pillow_resample) -> Image.Image:
    """Return the square of `size_px` that the model sees, 8-bit RGB; raises ImageError for one too narrow to resize."""
    return centre_crop(_resized(image, spec, resample), spec)


def short_side_size(width: int, height: int, target_px: int) -> tuple[int, int]:
    """Return (width, height) with the short side at `target_px`; the long one is truncated, as everywhere."""
    if width <= height:
        return target_px, int(target_px * height / width)
    return int(target_px * width / height), target_px


def centre_crop(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    """Cut the central square of `size_px`."""
    size = spec.size_px
    if image.size == (size, size):
        return image
    left = crop_margin(image.width - size, spec.crop_rounding)
    top = crop_margin(image.height - size, spec.crop_rounding)
    return image.crop((left, top, left + size, top + size))


def crop_margin(excess: int, rounding: str) -> int:
    """Return how many pixels of a crop's excess are cut off at the left or the top."""
    return round(excess / 2.0) if rounding == "half_even" else excess // 2


def _resized(image: Image.Image, spec: PreprocessSpec, resample: Resample) -> Image.Image:
    if spec.resize == "none":
        return image
    if spec.resize == "pad_square":
        image = _pad_square(image, spec.pad_colour)
    target = (spec.resize_px, spec.resize_px)
    if spec.resize == "short_side":
        target = short_side_size(image.width, image.height, spec.resize_px)
    if target[0] * target[1] > MAX_PIXELS:
        raise ImageError(
            f"an image of {image.width} x {image.height} would grow to {target[0]} x {target[1]} pixels",
            "crop it to its content first",
        )
    return image if image.size == target else resample(image, target, spec)


def _pad_square(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    side = max(image.size)
    if image.size == (side, side):
        return image
    canvas = Image.new("RGB", (side, side), colour)
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas
