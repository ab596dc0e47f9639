"""MedGemma's vision tower: a SigLIP at 896 px without its pooling head, and the projector of Gemma 3."""

from __future__ import annotations

import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import load_strictly, read_tower
from medvlm_tui.engine.encoders.libraries import transformers_
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights

_TAIL = "embeddings.patch_embedding.weight"
_PROJECTOR_TAIL = "mm_input_projection_weight"


class GemmaProjector(torch.nn.Module):
    """Tokens averaged over squares of the grid, scaled by their root mean square, and taken to the LLM's width."""

    def __init__(self, width: int, dim: int, side: int, eps: float) -> None:
        super().__init__()
        self.mm_input_projection_weight = torch.nn.Parameter(torch.zeros(width, dim))
        self.mm_soft_emb_norm = torch.nn.Module()
        self.mm_soft_emb_norm.register_parameter("weight", torch.nn.Parameter(torch.zeros(width)))
        self.side, self.eps = side, eps

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (n, side * side, dim) of (n, tokens, width)."""
        n, count, width = tokens.shape
        cells = round(count**0.5)
        maps = tokens.transpose(1, 2).reshape(n, width, cells, cells)
        pooled = torch.nn.functional.avg_pool2d(maps, cells // self.side).flatten(2).transpose(1, 2).float()
        scaled = pooled * torch.rsqrt(pooled.square().mean(dim=-1, keepdim=True) + self.eps)
        normed = scaled * (1.0 + self.mm_soft_emb_norm.get_parameter("weight"))
        return normed @ self.mm_input_projection_weight


class TokenMean(torch.nn.Module):
    """The mean over the normed tokens, or over the projected ones that the language model is given."""

    def __init__(self, tower: torch.nn.Module, projector: GemmaProjector | None) -> None:
        super().__init__()
        self.tower, self.projector = tower, projector

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.tower(pixel_values=pixels).last_hidden_state
        return (tokens if self.projector is None else self.projector(tokens)).mean(dim=1)


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build the tower, and the projector for `projected`, from the shards that hold them.

    Features: `tokens`, the mean over the tokens after the tower's last norm; `projected`, each of the
    `options.projector_side` squared tokens through the projector, then the mean. The authors define no vector.
    (transformers models/gemma3/modeling_gemma3.py)
    """
    assert weights.path is not None
    config = {**transformers_.vision_config(spec, weights), "vision_use_head": False}
    tower = transformers_.build("SiglipVisionModel", config)
    load_strictly(getattr(tower, "vision_model", tower), read_tower(weights.path, _TAIL, "vision"))
    projector = None
    if feature == "projected":
        width, eps = int(config["hidden_size"]), float(config.get("layer_norm_eps", 1e-6))
        projector = GemmaProjector(width, spec.dim(feature), int(spec.options["projector_side"]), eps)
        load_strictly(projector, read_tower(weights.path, _PROJECTOR_TAIL))
    return NetworkEncoder(spec, feature, TokenMean(tower, projector), device, precision)
