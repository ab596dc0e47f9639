"""CONCH: a ViT-B/16 at 448 px and the attention pooler of its contrastive side."""

from __future__ import annotations

from typing import Any

import timm
import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights

_WIDTH, _HEADS, _TRUNK_WIDTH = 512, 8, 768


class AttentionPooler(torch.nn.Module):
    """One learned query that attends to all tokens, the class token among them."""

    def __init__(self) -> None:
        super().__init__()
        self.query = torch.nn.Parameter(torch.zeros(1, _WIDTH))
        self.attn = torch.nn.MultiheadAttention(_WIDTH, _HEADS, kdim=_TRUNK_WIDTH, vdim=_TRUNK_WIDTH, batch_first=True)
        self.ln_q = torch.nn.LayerNorm(_WIDTH)
        self.ln_k = torch.nn.LayerNorm(_TRUNK_WIDTH)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        keys = self.ln_k(tokens)
        query = self.ln_q(self.query).expand(len(tokens), -1, -1)
        pooled: torch.Tensor = self.attn(query, keys, keys, need_weights=False)[0]
        return pooled[:, 0]


class ConchTower(torch.nn.Module):
    """Trunk, pooler, norm and the matrix that leads to the text's space."""

    def __init__(self, architecture: str, size_px: int, projected: bool) -> None:
        super().__init__()
        self.trunk: Any = timm.create_model(
            architecture, pretrained=False, img_size=size_px, num_classes=0, global_pool="", dynamic_img_size=True
        )
        self.attn_pool_contrast = AttentionPooler()
        self.ln_contrast = torch.nn.LayerNorm(_WIDTH)
        self.proj_contrast = torch.nn.Parameter(torch.zeros(_WIDTH, _WIDTH))
        self.projected = projected

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.ln_contrast(self.attn_pool_contrast(self.trunk.forward_features(pixels)))
        return pooled @ self.proj_contrast if self.projected else pooled


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build the contrastive image side and load it; the captioning side in the file is not read.

    Features: `image`, the README's choice for linear probing; `projected`, the vector of its zero-shot route
    before normalisation. (mahmoodlab/CONCH conch/open_clip_custom/vision_tower.py)
    """
    assert weights.path is not None
    with building():
        network = ConchTower(spec.architecture, spec.preprocess.size_px, projected=feature == "projected")
    tower = read_tower(weights.path, "proj_contrast").without("attn_pool_caption.", "ln_caption.")
    load_strictly(network, tower)
    return NetworkEncoder(spec, feature, network, device, precision)
