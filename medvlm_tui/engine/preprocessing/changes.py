"""Changes of an 8-bit RGB image, seeded by image and change; sizes are in pixels of the model's view.

Every change is deterministic: the same image, change and seed give the same pixels in every run and for every model.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from medvlm_tui.stages.params.preprocessing import Variant

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Place:
    """Inputs that a change may depend on beside the pixels."""

    scale: float
    """Pixels of the image for one pixel of the model's view."""
    seed: tuple[int, ...]
    """Of the random numbers of this image under this change."""


def changed(image: Image.Image, variant: Variant, place: Place) -> Image.Image:
    """Return an RGB image under a change whose place is `image`; KeyError for another one."""
    return _CHANGES[variant.kind](image, variant.value, place)


def seed_of(seed: int, image: str, variant: Variant) -> tuple[int, ...]:
    """Return the seed of one image under one change; the order of the images and the model play no part."""
    digest = hashlib.sha256(f"{image}\0{variant.name}".encode()).digest()
    return (seed, *(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)))


def _by_levels(function: Callable[[Floats, float], Floats]) -> Callable[[Image.Image, str, Place], Image.Image]:
    """Return a change that maps each grey level 0 to 1 by itself, rounded to the nearest of 256 levels."""

    def change(image: Image.Image, value: str, place: Place) -> Image.Image:
        table = function(np.arange(256) / 255.0, float(value))
        return image.point([*_to_bytes(table).tolist()] * 3)

    return change


def _to_bytes(shares: Floats) -> NDArray[np.uint8]:
    return np.rint(np.clip(shares, 0.0, 1.0) * 255.0).astype(np.uint8)


def _bits(levels: Floats, bits: float) -> Floats:
    steps = 2.0**bits - 1
    return np.asarray(np.rint(levels * steps) / steps)


def _contrast(image: Image.Image, value: str, place: Place) -> Image.Image:
    """Scale the distance of each value to the image's mean grey level."""
    mean = float(np.asarray(image.convert("L"), dtype=np.float64).mean()) / 255.0
    levels = np.arange(256) / 255.0
    return image.point([*_to_bytes(mean + float(value) * (levels - mean)).tolist()] * 3)


def _coded(form: str, **options: object) -> Callable[[Image.Image, str, Place], Image.Image]:
    def change(image: Image.Image, value: str, place: Place) -> Image.Image:
        made = {name: option(float(value)) if callable(option) else option for name, option in options.items()}
        with io.BytesIO() as file:
            image.save(file, form, **made)
            file.seek(0)
            return Image.open(file).convert("RGB")

    return change


def _noise(image: Image.Image, value: str, place: Place) -> Image.Image:
    """Add normal noise of this standard deviation, as a share of the range; the same in all three channels."""
    return _disturbed(image, place, lambda pixels, drawn: pixels + float(value) * drawn)


def _speckle(image: Image.Image, value: str, place: Place) -> Image.Image:
    """Multiply with 1 + noise of this standard deviation."""
    return _disturbed(image, place, lambda pixels, drawn: pixels * (1.0 + float(value) * drawn))


def _disturbed(image: Image.Image, place: Place, disturb: Callable[[Floats, Floats], Floats]) -> Image.Image:
    """Disturb with one normal number for each pixel of the view, so that a large image gets the same grain."""
    width, height = (max(1, round(side / place.scale)) for side in image.size)
    drawn = np.random.default_rng(place.seed).standard_normal((height, width))
    rows = np.minimum((np.arange(image.height) / place.scale).astype(np.int64), height - 1)
    columns = np.minimum((np.arange(image.width) / place.scale).astype(np.int64), width - 1)
    pixels = np.asarray(image, dtype=np.float64) / 255.0
    return Image.fromarray(_to_bytes(disturb(pixels, drawn[rows[:, None], columns][:, :, None])))


def _blur(image: Image.Image, value: str, place: Place) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(float(value) * place.scale))


def _down(way: Image.Resampling) -> Callable[[Image.Image, str, Place], Image.Image]:
    """Return a change that scales to a short side and back up; an image that is no larger stays as it is."""

    def change(image: Image.Image, value: str, place: Place) -> Image.Image:
        factor = min(image.size) / float(value)
        if factor <= 1:
            return image
        size = max(1, round(image.width / factor)), max(1, round(image.height / factor))
        return image.resize(size, way).resize(image.size, Image.Resampling.BICUBIC)

    return change


def _border(image: Image.Image, value: str, place: Place) -> Image.Image:
    """Paint a frame black, as wide as this share of the short side."""
    wide = round(float(value) * min(image.size))
    made = Image.new("RGB", image.size)
    box = (wide, wide, image.width - wide, image.height - wide)
    made.paste(image.crop(box), box[:2])
    return made


_CHANGES: Mapping[str, Callable[[Image.Image, str, Place], Image.Image]] = {
    "jpeg": _coded("JPEG", quality=int, subsampling=2),
    "jp2": _coded("JPEG2000", quality_mode="rates", quality_layers=lambda ratio: [ratio], irreversible=True),
    "bits": _by_levels(_bits),
    "gamma": _by_levels(lambda levels, exponent: np.asarray(levels**exponent)),
    "brightness": _by_levels(lambda levels, added: levels + added),
    "contrast": _contrast,
    "invert": lambda image, value, place: ImageOps.invert(image),
    "equalise": lambda image, value, place: ImageOps.equalize(image.convert("L")).convert("RGB"),
    "grey": lambda image, value, place: image.convert("L").convert("RGB"),
    "noise": _noise,
    "speckle": _speckle,
    "blur": _blur,
    "down": _down(Image.Resampling.BOX),
    "down_nearest": _down(Image.Resampling.NEAREST),
    "border": _border,
}
