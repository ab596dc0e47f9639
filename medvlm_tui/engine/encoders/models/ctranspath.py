"""CTransPath, CHIEF's and the original: a Swin-T of histology tiles with a convolutional stem."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import timm
import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights

_DOWN_NAME = re.compile(r"layers\.(\d)\.downsample\.(.+)")
_CONSTANTS = re.compile(r".*\.(relative_position_index|attn_mask)")


class ConvStem(torch.nn.Module):
    """Three convolutions in place of the patch embedding, with the face that timm's Swin expects of one."""

    def __init__(
        self,
        img_size: int | tuple[int, int],
        patch_size: int | tuple[int, int],
        in_chans: int,
        embed_dim: int,
        norm_layer: type[torch.nn.LayerNorm] | None = None,
        output_fmt: str = "NHWC",
        strict_img_size: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else img_size
        self.patch_size = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
        self.grid_size = (self.img_size[0] // self.patch_size[0], self.img_size[1] // self.patch_size[1])
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        widths = (in_chans, embed_dim // 8, embed_dim // 4)
        layers: list[torch.nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                torch.nn.Conv2d(before, after, 3, 2, 1, bias=False),
                torch.nn.BatchNorm2d(after),
                torch.nn.ReLU(),
            ]
        self.proj = torch.nn.Sequential(*layers, torch.nn.Conv2d(widths[-1], embed_dim, 1))
        self.norm = torch.nn.LayerNorm(embed_dim)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.norm(self.proj(pixels).permute(0, 2, 3, 1))
        return tokens


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build timm's Swin with the stem and load the tile encoder. Feature: the mean of the normed tokens.

    (hms-dbmi/CHIEF models/ctran.py)
    """
    assert weights.path is not None
    with building():
        network = timm.create_model(spec.architecture, pretrained=False, num_classes=0, embed_layer=ConvStem)
    load_strictly(network, current_names(read_tower(weights.path, "patch_embed.proj.0.weight")))
    return NetworkEncoder(spec, feature, network, device, precision)


def current_names(tower: Tower) -> Tower:
    """Return the tower as today's timm names it: downsampling in the next stage, constants computed, no head."""
    kept = {name: r for name, r in tower.without("head.").readers.items() if not _CONSTANTS.fullmatch(name)}
    return Tower(tower.path, kept).renamed(_current_name)


def _current_name(name: str) -> str:
    match = _DOWN_NAME.fullmatch(name)
    return f"layers.{int(match.group(1)) + 1}.downsample.{match.group(2)}" if match else name
