"""Small networks with random weights, and images of noise, for tests of a device."""

from __future__ import annotations

import numpy as np
import timm
import torch
from PIL import Image

from medvlm_tui.core.specs import ModelSpec, Precision, PreprocessSpec
from medvlm_tui.engine.encoders.network import NetworkEncoder

# Kind: timm's name and the width of its pooled features.
_NETWORKS = {"cnn": ("resnet18", 512), "vit": ("vit_tiny_patch16_224", 192)}
SIZE = PreprocessSpec(224, 256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def random_encoder(kind: str, device: str, precision: Precision) -> NetworkEncoder:
    """Return a CNN (`cnn`) or a transformer (`vit`) with the same weights every time."""
    architecture, dim = _NETWORKS[kind]
    return encoder_of(architecture, dim, SIZE, device, precision)


def encoder_of(architecture: str, dim: int, size: PreprocessSpec, device: str, precision: Precision) -> NetworkEncoder:
    """Return a network of timm with seeded weights."""
    spec = ModelSpec(architecture, architecture, "general", "timm", architecture, "bring", size, {"pooled": dim})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(architecture, pretrained=False, num_classes=0)
    return NetworkEncoder(spec, "pooled", network, device, precision)


def noise_images(count: int, side_px: int = 256) -> list[Image.Image]:
    """Return coloured blobs under noise, no two alike."""
    made = []
    for number in range(count):
        draw = np.random.default_rng(number)
        blobs = Image.fromarray(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((side_px, side_px))
        noisy = np.asarray(blobs, np.float64) + draw.normal(0, 6, (side_px, side_px, 1))
        made.append(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))
    return made
