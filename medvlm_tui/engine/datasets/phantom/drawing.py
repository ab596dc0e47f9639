"""Drawing one phantom: an ultrasound-like picture with a lesion of known outline and burned-in words.

The image model is the usual one of ultrasound speckle: Rayleigh amplitude (two correlated Gaussian fields) times the
root of the tissue's reflectivity, attenuated with depth, log-compressed to 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medvlm_tui.engine.images.font import font_path

Field = NDArray[np.float64]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]

SITES = ("BREAST", "AXILLA")
SIDES = ("LEFT", "RIGHT")
_DYNAMIC_RANGE_DB = 50.0
_CALIPER_SHARE = 0.5
_BACKGROUND = 4
# Of the short side, from the edges of the central square: a crop of 224 of 256 pixels takes 0.0625.
_WORD_MARGIN = 0.07
_TOP_LEFT, _TOP_RIGHT = 0, 1


@dataclass(frozen=True, slots=True)
class Phantom:
    """One picture and what is known about it."""

    pixels: NDArray[np.uint8]
    """(H, W) grey."""
    lesion: Mask
    """(H, W); all False for the class without a lesion."""
    boxes: Mapping[str, Box]
    """Word or caliper mark -> (left, top, right, bottom)."""


def draw(kind: str, words: tuple[str, str], size: tuple[int, int], rng: np.random.Generator) -> Phantom:
    """Return a phantom of kind none, smooth or spiculated, `size` = (width, height), with two words burned in."""
    width, height = size
    window = _scan_window(width, height, rng)
    place = _lesion_place(width, height, rng)
    lesion = _lesion(kind, place, (height, width), rng)
    pixels = _compressed(_echo(_tissue(height, width, rng), lesion, rng), window)
    boxes: dict[str, Box] = {}
    if rng.random() < _CALIPER_SHARE:
        boxes |= _burn_calipers(pixels, place)
    boxes |= _burn_words(pixels, words, rng)
    return Phantom(pixels, lesion, boxes)


@dataclass(frozen=True, slots=True)
class _Place:
    """Place of the lesion, or the one it would have: calipers are set without one too, and so do not give it away."""

    x: float
    y: float
    radius: float
    flatness: float
    """Height over width."""


def _lesion_place(width: int, height: int, rng: np.random.Generator) -> _Place:
    radius = rng.uniform(0.09, 0.14) * width
    return _Place(rng.uniform(0.36, 0.64) * width, rng.uniform(0.40, 0.60) * height, radius, rng.uniform(0.6, 0.9))


def _smoothed(noise: Field, sigma_y: float, sigma_x: float) -> Field:
    """Gaussian-filter over the last two axes (periodic, by FFT), scaled back to unit variance."""
    fy, fx = np.fft.fftfreq(noise.shape[-2])[:, None], np.fft.rfftfreq(noise.shape[-1])[None, :]
    gain = np.exp(-2 * np.pi**2 * ((sigma_y * fy) ** 2 + (sigma_x * fx) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(noise) * gain, s=noise.shape[-2:])
    return np.asarray(field / field.std())


def _tissue(height: int, width: int, rng: np.random.Generator) -> Field:
    """Reflectivity in dB: a bright skin line, fat, a banded gland, muscle, with slow variation over all."""
    depth = np.linspace(0, 1, height)[:, None] + 0.03 * _smoothed(rng.normal(size=(height, width)), 40, 60)
    level = np.full((height, width), -16.0)
    level[depth > rng.uniform(0.14, 0.24)] = -8.0
    level[depth > rng.uniform(0.72, 0.85)] = -14.0
    level[np.abs(depth - 0.05) < 0.02] = -2.0
    bands = _smoothed(rng.normal(size=(height, width)), 3, 24)
    return np.asarray(level + 2.5 * bands + 2.0 * _smoothed(rng.normal(size=(height, width)), 25, 25))


def _lesion(kind: str, place: _Place, shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Return the lesion's mask: r(angle) of the outline, smooth or star-like, compared with each pixel's radius."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    dx, dy = x - place.x, (y - place.y) / place.flatness
    angle, distance = np.arctan2(dy, dx), np.hypot(dx, dy)
    phase = rng.uniform(0, 2 * np.pi, size=4)
    outline = 1 + 0.05 * np.cos(2 * angle + phase[0]) + 0.03 * np.cos(3 * angle + phase[1])
    if kind == "spiculated":
        spikes = rng.integers(9, 15)
        wobble = angle + 0.12 * np.sin(2 * angle + phase[2])
        outline = 0.72 * outline + 0.6 * np.abs(np.cos(spikes / 2 * wobble + phase[3])) ** 2
    return np.asarray(distance < place.radius * outline) & (kind != "none")


def _echo(tissue_db: Field, lesion: Mask, rng: np.random.Generator) -> Field:
    """Return the log-compressed echo in dB: speckle x reflectivity, weaker with depth, shaded below a lesion."""
    height, width = tissue_db.shape
    contrast = rng.uniform(9, 15)
    soft = np.clip(_blurred(lesion, 1.2), 0, 1)
    below = np.maximum.accumulate(lesion, axis=0) & ~lesion
    shade = rng.uniform(-4, 3) * _blurred(below, 3)
    attenuation = rng.uniform(4, 10) * np.linspace(0, 1, height)[:, None]
    noise = _smoothed(rng.normal(size=(2, height, width)), 0.9, 1.6)
    amplitude = np.hypot(noise[0], noise[1]) / np.sqrt(2)
    return np.asarray(20 * np.log10(amplitude + 1e-3) + tissue_db - contrast * soft + shade - attenuation)


def _blurred(mask: Mask, sigma: float) -> Field:
    if not mask.any():
        return np.zeros(mask.shape)
    fy, fx = np.fft.fftfreq(mask.shape[0])[:, None], np.fft.rfftfreq(mask.shape[1])[None, :]
    gain = np.exp(-2 * np.pi**2 * sigma**2 * (fy**2 + fx**2))
    return np.asarray(np.fft.irfft2(np.fft.rfft2(mask.astype(np.float64)) * gain, s=mask.shape))


def _scan_window(width: int, height: int, rng: np.random.Generator) -> Mask:
    """Return where the scan is: the sector of a curved probe, or a rectangle with a dark border."""
    y, x = np.mgrid[:height, :width]
    inside = (x > 0.05 * width) & (x < 0.95 * width) & (y > 0.10 * height) & (y < 0.89 * height)
    if rng.random() < 0.5:
        return np.asarray(inside)
    apex_y, half_angle = -0.35 * height, np.deg2rad(rng.uniform(30, 36))
    radius = np.hypot(x - width / 2, y - apex_y)
    bearing = np.abs(np.arctan2(x - width / 2, y - apex_y))
    return np.asarray((bearing < half_angle) & (radius > 0.42 * height) & (radius < 1.28 * height))


def _compressed(echo_db: Field, window: Mask) -> NDArray[np.uint8]:
    grey = 255 * (1 + np.clip(echo_db, -_DYNAMIC_RANGE_DB, 0) / _DYNAMIC_RANGE_DB)
    return np.where(window, grey, _BACKGROUND).astype(np.uint8)


def _burn_calipers(pixels: NDArray[np.uint8], place: _Place) -> dict[str, Box]:
    """Draw two crosses beside the lesion's place and dots between them and it; return their boxes."""
    y, reach, arm = round(place.y), 1.35 * place.radius, 4
    boxes: dict[str, Box] = {}
    for name, centre, step in (("caliper_1", round(place.x - reach), -3), ("caliper_2", round(place.x + reach), 3)):
        pixels[y, centre - arm : centre + arm + 1] = 255
        pixels[y - arm : y + arm + 1, centre] = 255
        dots = [centre + step * k for k in range(2, 6)]
        pixels[y, dots] = 255
        left, right = min(centre - arm, *dots), max(centre + arm, *dots)
        boxes[name] = (left, y - arm, right + 1, y + arm + 1)
    return boxes


def _burn_words(pixels: NDArray[np.uint8], words: tuple[str, str], rng: np.random.Generator) -> dict[str, Box]:
    """Write the words into two of the corners of the central square, and return their boxes.

    Encoders keep at least the middle 87.5 % of the short side (a resize to 256 and a crop of 224 pixels), so that
    every word stays in what they see. The lesion never reaches the corners. The lower left one stays free: there the
    bias lab draws its words.
    """
    height, width = pixels.shape
    side = min(pixels.shape)
    font = ImageFont.truetype(str(font_path()), round(side * rng.uniform(0.055, 0.07)))
    corners = rng.permutation(3)[: len(words)]
    canvas = Image.fromarray(pixels)
    drawing = ImageDraw.Draw(canvas)
    boxes: dict[str, Box] = {}
    inset = round(_WORD_MARGIN * side)
    left_edge, right_edge = (width - side) // 2 + inset, (width + side) // 2 - inset
    top_edge, bottom_edge = (height - side) // 2 + inset, (height + side) // 2 - inset
    for word, corner in zip(words, corners, strict=True):
        left, top, right, bottom = drawing.textbbox((0, 0), word, font=font)
        x = left_edge if corner == _TOP_LEFT else right_edge - round(right - left)
        y = top_edge if corner in (_TOP_LEFT, _TOP_RIGHT) else bottom_edge - round(bottom - top)
        boxes[word] = (x, y, x + round(right - left), y + round(bottom - top))
        drawing.rectangle((x - 1, y - 1, boxes[word][2], boxes[word][3]), fill=_BACKGROUND)
        drawing.text((x - left, y - top), word, fill=235, font=font)
    pixels[:] = np.asarray(canvas)
    return boxes
