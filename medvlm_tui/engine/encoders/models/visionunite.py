"""VisionUnite: an EVA02-B/14 and a CLIP ViT-L/14 on one fundus image in HSV colours, summed."""

from __future__ import annotations

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch.nn import functional

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.libraries.open_clip_ import build_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights

_CONTRAST = 1.3
_CLIP_SIZE_PX = 224


class TwoTowers(torch.nn.Module):
    """The vector of the image-text loss: EVA's as it is, plus CLIP's at unit length."""

    def __init__(self, eva: torch.nn.Module, clip: torch.nn.Module, summed: bool) -> None:
        super().__init__()
        self.eva, self.clip, self.summed = eva, clip, summed

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        vector: torch.Tensor = self.eva(pixels)
        if not self.summed:
            return vector
        # Without antialias, as the torchvision that the authors pin resizes tensors.
        small = functional.interpolate(pixels, _CLIP_SIZE_PX, mode="bilinear", align_corners=False)
        return vector + functional.normalize(self.clip(small), dim=-1)


class FundusEncoder(NetworkEncoder):
    """Raises the contrast, stretches the colours and turns them to HSV before the usual steps."""

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Return the model's input (3, 448, 448) float32: hue, saturation and value."""
        return super().preprocess(to_hsv(image))

    def display(self, pixels: torch.Tensor) -> NDArray[np.uint8]:
        """Return the input turned back to RGB, (448, 448, 3) 0 to 255."""
        height, width = pixels.shape[1:]
        shown = Image.frombytes("HSV", (width, height), super().display(pixels).tobytes())
        return np.array(shown.convert("RGB"))


def to_hsv(image: Image.Image) -> Image.Image:
    """Return the image as its authors prepare it: a channel that spans 0 to 255 wraps its 255s to 0, as theirs does.

    (HUANGLIZI/VisionUnite demo.py)
    """
    array = np.array(ImageEnhance.Contrast(image).enhance(_CONTRAST))
    stretched = array - array.min(axis=(0, 1)) + np.uint8(1)
    return Image.fromarray(stretched).convert("HSV")


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build both towers and load them from the training checkpoint.

    Features: `sum` of both; `eva`, the EVA02 vector alone.
    """
    assert weights.path is not None
    with building():
        eva = timm.create_model(spec.architecture, pretrained=False, num_classes=0)
    clip = build_tower(
        {"vision_cfg": {"layers": 24, "width": 1024, "patch_size": 14}, "embed_dim": 768, "quick_gelu": True}, 768
    )
    whole = read_tower(weights.path)
    load_strictly(eva, whole.below("eva02.model."))
    load_strictly(clip, whole.below("clip.visual."))
    return FundusEncoder(spec, feature, TwoTowers(eva, clip, feature == "sum"), device, precision)
