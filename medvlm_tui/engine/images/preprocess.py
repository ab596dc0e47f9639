"""From an RGB image to a model's input tensor, exactly as the reference transforms of its authors do it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.images.raster import MAX_PIXELS
from medvlm_tui.errors import ImageError

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


class Preprocess:
    """A `PreprocessSpec` as a callable."""

    def __init__(self, spec: PreprocessSpec) -> None:
        self.spec = spec
        self._mean = torch.tensor(spec.mean, dtype=torch.float32).view(3, 1, 1)
        self._std = torch.tensor(spec.std, dtype=torch.float32).view(3, 1, 1)

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return (3, size_px, size_px) float32; raises ImageError for an image too narrow to resize."""
        if self.spec.resize == "long_side_pad":
            scaled = _long_side_pad(to_unit(image), self.spec)
        else:
            scaled = to_unit(centre_crop(_resized(image, self.spec), self.spec))
        return scaled.sub_(self._mean).div_(self._std)

    def display(self, pixels: torch.Tensor) -> NDArray[np.uint8]:
        """Return what the model sees, (H, W, 3) 0 to 255, from its input tensor (3, H, W)."""
        image = pixels.detach().to("cpu", torch.float32) * self._std + self._mean
        grey = (image * 255.0).round_().clamp_(0.0, 255.0).to(torch.uint8)
        shown: NDArray[np.uint8] = grey.permute(1, 2, 0).contiguous().numpy()
        return shown


def to_unit(image: Image.Image) -> torch.Tensor:
    """Return an 8-bit RGB image as (3, H, W) float32 in [0, 1]."""
    array: NDArray[Any] = np.array(image, dtype=np.uint8)
    return torch.from_numpy(array).permute(2, 0, 1).contiguous().to(torch.float32).div_(255.0)


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
    left = _margin(image.width - size, spec.crop_rounding)
    top = _margin(image.height - size, spec.crop_rounding)
    return image.crop((left, top, left + size, top + size))


def _margin(excess: int, rounding: str) -> int:
    return round(excess / 2.0) if rounding == "half_even" else excess // 2


def _resized(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
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
    return image if image.size == target else _resample(image, target, spec)


def _resample(image: Image.Image, target: tuple[int, int], spec: PreprocessSpec) -> Image.Image:
    if spec.antialias:
        return image.resize(target, _RESAMPLING[spec.interpolation])
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(torch.float32)
    mode = spec.interpolation
    corners = None if mode == "nearest" else False
    scaled = torch.nn.functional.interpolate(pixels, (target[1], target[0]), mode=mode, align_corners=corners)
    grey = scaled[0].round_().clamp_(0.0, 255.0).to(torch.uint8)
    return Image.fromarray(grey.permute(1, 2, 0).contiguous().numpy())


def _pad_square(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    side = max(image.size)
    if image.size == (side, side):
        return image
    canvas = Image.new("RGB", (side, side), colour)
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def _long_side_pad(pixels: torch.Tensor, spec: PreprocessSpec) -> torch.Tensor:
    """Scale a float image so that its long side fits, then pad right and below: what FLAIR and KeepFIT do."""
    height, width = pixels.shape[-2:]
    scale = max(height, width) / spec.resize_px
    target = (max(1, int(height / scale)), max(1, int(width / scale)))
    if (height, width) != target:
        pixels = torch.nn.functional.interpolate(
            pixels[None], target, mode=spec.interpolation, align_corners=False, antialias=spec.antialias
        )[0]
    fill = torch.tensor(spec.pad_colour, dtype=torch.float32).view(3, 1, 1) / 255.0
    canvas = fill.expand(3, spec.size_px, spec.size_px).clone()
    canvas[:, : pixels.shape[1], : pixels.shape[2]] = pixels[:, : spec.size_px, : spec.size_px]
    return canvas
