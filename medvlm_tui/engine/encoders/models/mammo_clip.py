"""Mammo-CLIP: an EfficientNet B5 or B2 of mammograms, 1520 x 912 pixels, in lukemelas's layout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights

_HEIGHT_PX, _WIDTH_PX = 1520, 912
_MEAN, _STD = 0.3089279, 0.25053555
_BATCH_NORM_EPS = 1e-3
# Their padding is fixed when the network is built (for 456 and 260 px), timm's follows the input, and at this
# size the two differ: (left, right, top, bottom) of each convolution with stride 2.
_PADS: Mapping[str, Mapping[str, tuple[int, int, int, int]]] = {
    "tf_efficientnet_b5": {
        "conv_stem": (0, 1, 0, 1), "blocks.1.0.conv_dw": (0, 1, 0, 1), "blocks.2.0.conv_dw": (1, 2, 1, 2),
        "blocks.3.0.conv_dw": (1, 1, 1, 1), "blocks.5.0.conv_dw": (2, 2, 2, 2),
    },
    "tf_efficientnet_b2": {
        "conv_stem": (0, 1, 0, 1), "blocks.1.0.conv_dw": (0, 1, 0, 1), "blocks.2.0.conv_dw": (2, 2, 2, 2),
        "blocks.3.0.conv_dw": (1, 1, 1, 1), "blocks.5.0.conv_dw": (2, 2, 2, 2),
    },
}  # fmt: skip
_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER_STAGES = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
_SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_BLOCK_NAME = re.compile(r"_blocks\.(\d+)\.(\w+?)\.(.+)")


class FixedPadding(torch.nn.Module):
    """A convolution whose input is padded by the same margins whatever its size."""

    def __init__(self, conv: torch.nn.Conv2d, pads: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.pads, self.stride, self.groups = pads, conv.stride, conv.groups

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(maps, self.pads)
        return torch.nn.functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


class MammogramEncoder(NetworkEncoder):
    """Brings any image to 1520 x 912 and stretches its grey values, as the authors do with a cropped breast."""

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Return (3, 1520, 912) float32; a constant image gives a constant tensor."""
        pixels = torch.from_numpy(area_resize(np.asarray(image)).transpose(2, 0, 1).astype(np.float32))
        span = pixels.max() - pixels.min()
        unit = (pixels - pixels.min()) / span if span > 0 else torch.zeros_like(pixels)
        return (unit - _MEAN) / _STD

    def display(self, pixels: torch.Tensor) -> NDArray[np.uint8]:
        """Return the stretched image, (1520, 912, 3) 0 to 255."""
        grey = ((pixels.cpu() * _STD + _MEAN) * 255.0).round().clamp(0, 255).to(torch.uint8)
        return grey.permute(1, 2, 0).contiguous().numpy()


def area_resize(array: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (1520, 912, 3) whole grey values as cv2's INTER_AREA gives them, within one.

    Where neither side grows, a pixel is the mean over the area that it covers. Where one grows, cv2 mixes two
    neighbours along both sides; for a side that grows this is the mean over the pixel's area too.
    """
    height, width = array.shape[:2]
    shrinks = height >= _HEIGHT_PX and width >= _WIDTH_PX
    weights = _area_weights if shrinks else _neighbour_weights
    narrow = np.einsum("hwc,xw->hxc", array, weights(width, _WIDTH_PX), optimize=True)
    means: NDArray[np.float64] = np.rint(np.einsum("yh,hxc->yxc", weights(height, _HEIGHT_PX), narrow, optimize=True))
    return means


def _area_weights(size: int, target: int) -> NDArray[np.float64]:
    """Return (target, size): which share of each source pixel makes a target pixel; rows sum to one."""
    step = size / target
    begin = np.arange(target)[:, None] * step
    pixel = np.arange(size)[None]
    overlap = np.minimum(begin + step, pixel + 1) - np.maximum(begin, pixel)
    shares: NDArray[np.float64] = np.clip(overlap, 0.0, None) / step
    return shares


def _neighbour_weights(size: int, target: int) -> NDArray[np.float64]:
    """Return (target, size): the pixel that a target pixel begins in, and the next one from where that ends on."""
    growth = target / size
    pixel = np.arange(target)
    first = np.floor(pixel * (1.0 / growth)).astype(np.int64)  # rounded as cv2 does: a pixel may begin on an edge
    share = (pixel + 1 - (first + 1) * growth).astype(np.float32)
    share = np.where(share <= 0, 0.0, share - np.floor(share))
    shares = np.zeros((target, size))
    np.add.at(shares, (pixel, np.minimum(first, size - 1)), 1.0 - share)
    np.add.at(shares, (pixel, np.minimum(first + 1, size - 1)), share)
    return shares


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build timm's network with the authors' fixed padding and load `image_encoder.*`.

    Feature: the pooled vector, which the authors' classifier takes. (batmanlab/Mammo-CLIP)
    """
    assert weights.path is not None
    network = build(spec.architecture)
    blocks = [len(stage) for stage in network.blocks]
    load_strictly(network, timm_names(read_tower(weights.path, "_conv_stem.weight"), blocks))
    return MammogramEncoder(spec, feature, network, device, precision, channels_last=True)


def build(architecture: str) -> Any:
    """Build the network without weights."""
    with building():
        network = timm.create_model(architecture, pretrained=False, num_classes=0)
    for name, pads in _PADS[architecture].items():
        parent, _, leaf = name.rpartition(".")
        conv: Any = network.get_submodule(name)
        setattr(network.get_submodule(parent), leaf, FixedPadding(conv, pads))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = _BATCH_NORM_EPS
    return network


def timm_names(tower: Tower, blocks: list[int]) -> Tower:
    """Return lukemelas's tensors under timm's names; `blocks` counts the blocks of each stage."""
    places = [(stage, block) for stage, count in enumerate(blocks) for block in range(count)]

    def rename(name: str) -> str:
        module, _, rest = name.partition(".")
        if module in _TOP:
            return f"{_TOP[module]}.{rest}"
        match = _BLOCK_NAME.fullmatch(name)
        if match is None or int(match.group(1)) >= len(places):
            return name
        stage, block = places[int(match.group(1))]
        layers = {**(_FIRST_STAGE if stage == 0 else _LATER_STAGES), **_SQUEEZE}
        return f"blocks.{stage}.{block}.{layers.get(match.group(2), match.group(2))}.{match.group(3)}"

    return tower.renamed(rename)
