"""From an RGB image to a model's input tensor, exactly as the reference transforms of its authors do it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.images.framing import framed, pillow_resample

Channels = tuple[float, float, float]


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
        elif self.spec.resize == "squash_float":
            scaled = _scaled(to_unit(image), (self.spec.size_px, self.spec.size_px), self.spec)
        else:
            scaled = to_unit(framed(image, self.spec, _resample))
        return scaled.sub_(self._mean).div_(self._std)

    def batch(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return (n, 3, H, W) float32 of framed images (n, H, W, 3) uint8, each as `__call__` gives it.

        On their device and in channels-last order, as they came.
        """
        mean, std, most = _scaling(self.spec.mean, self.spec.std, pixels.device)
        # A tensor as divisor: by a plain number CUDA multiplies with the rounded reciprocal.
        scaled = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(most)
        return scaled.sub_(mean).div_(std)

    def display(self, pixels: torch.Tensor) -> NDArray[np.uint8]:
        """Return what the model sees, (H, W, 3) 0 to 255, from its input tensor (3, H, W)."""
        image = pixels.detach().to("cpu", torch.float32) * self._std + self._mean
        grey = (image * 255.0).round_().clamp_(0.0, 255.0).to(torch.uint8)
        shown: NDArray[np.uint8] = grey.permute(1, 2, 0).contiguous().numpy()
        return shown


@lru_cache(maxsize=64)
def _scaling(mean: Channels, std: Channels, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation (3, 1, 1) and 255 on a device.

    Kept there: copied for each batch, they would make a GPU's next batch wait for the one before.
    """
    shifts = [torch.tensor(values, dtype=torch.float32).view(3, 1, 1).to(device) for values in (mean, std)]
    return shifts[0], shifts[1], torch.full((), 255.0, device=device)


def to_unit(image: Image.Image) -> torch.Tensor:
    """Return an 8-bit RGB image as (3, H, W) float32 in [0, 1]."""
    array: NDArray[Any] = np.array(image, dtype=np.uint8)
    return torch.from_numpy(array).permute(2, 0, 1).contiguous().to(torch.float32).div_(255.0)


def _resample(image: Image.Image, target: tuple[int, int], spec: PreprocessSpec) -> Image.Image:
    if spec.antialias:
        return pillow_resample(image, target, spec)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(torch.float32)
    mode = spec.interpolation
    corners = None if mode == "nearest" else False
    scaled = torch.nn.functional.interpolate(pixels, (target[1], target[0]), mode=mode, align_corners=corners)
    grey = scaled[0].round_().clamp_(0.0, 255.0).to(torch.uint8)
    return Image.fromarray(grey.permute(1, 2, 0).contiguous().numpy())


def _long_side_pad(pixels: torch.Tensor, spec: PreprocessSpec) -> torch.Tensor:
    """Scale a float image so that its long side fits, then pad right and below: what FLAIR and KeepFIT do."""
    height, width = pixels.shape[-2:]
    scale = max(height, width) / spec.resize_px
    target = (max(1, int(height / scale)), max(1, int(width / scale)))
    pixels = _scaled(pixels, target, spec)
    fill = torch.tensor(spec.pad_colour, dtype=torch.float32).view(3, 1, 1) / 255.0
    canvas = fill.expand(3, spec.size_px, spec.size_px).clone()
    canvas[:, : pixels.shape[1], : pixels.shape[2]] = pixels[:, : spec.size_px, : spec.size_px]
    return canvas


def _scaled(pixels: torch.Tensor, target: tuple[int, int], spec: PreprocessSpec) -> torch.Tensor:
    """Resize a float image to `target` (height, width) as torchvision resizes tensors."""
    if pixels.shape[-2:] == target:
        return pixels
    return torch.nn.functional.interpolate(
        pixels[None], target, mode=spec.interpolation, align_corners=False, antialias=spec.antialias
    )[0]
