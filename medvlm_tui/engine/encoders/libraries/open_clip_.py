"""Image towers of open_clip: OpenAI's and LAION's CLIP, EVA02, BiomedCLIP, MAKE, DermLIP, anything it can build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from open_clip.factory import get_model_config
from open_clip.model import CLIPVisionCfg, _build_vision_tower

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.location import Weights
from medvlm_tui.errors import WeightsError


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build the tower that `architecture` names and load `visual.*` (or `options.prefix`) into it.

    `options.read_config` lets the repository's open_clip_config.json define the tower where it exists;
    `options.vision` defines one that open_clip has no name for. Features: `encode_image`, not normalised.
    """
    assert weights.path is not None
    network = build_tower(model_config(spec, weights), spec.dim(feature))
    load_strictly(network, image_tower(weights, str(spec.options.get("prefix", "visual."))))
    return NetworkEncoder(spec, feature, network, device, precision, lambda pixels: _pooled(network(pixels)))


def image_tower(weights: Weights, prefix: str) -> Tower:
    """Return the tensors below `prefix`, also where a distributed run has put `module.` before it."""
    assert weights.path is not None
    whole = read_tower(weights.path)
    for candidate in (prefix, f"module.{prefix}"):
        tower = whole.below(candidate)
        if tower.readers:
            return tower
    raise WeightsError(f"{weights.path} holds no tensors named {prefix}*", "it is not a checkpoint of this model")


def model_config(spec: ModelSpec, weights: Weights) -> Mapping[str, Any]:
    """Return open_clip's description of the model: the repository's own where it counts, else by name."""
    stored = weights.config("open_clip_config.json") if spec.options.get("read_config") else None
    if stored is not None:
        model = stored.get("model_cfg", stored)
        if isinstance(model, Mapping) and isinstance(model.get("vision_cfg"), Mapping):
            return model
        raise WeightsError(f"{weights.path}: its open_clip_config.json describes no image tower", "download it again")
    if "vision" in spec.options:
        return {"vision_cfg": spec.options["vision"]}
    found = get_model_config(spec.architecture)
    if found is None:
        raise WeightsError(f"open_clip has no model {spec.architecture}", "see open_clip.list_models()")
    return dict(found)


def build_tower(config: Mapping[str, Any], dim: int) -> torch.nn.Module:
    """Build an image tower. Fields that open_clip does not know (training options of forks) are passed over;
    no pretrained weights are ever asked for."""
    known = {f.name for f in fields(CLIPVisionCfg)} - {"timm_model_pretrained"}
    vision = CLIPVisionCfg(**{k: v for k, v in config["vision_cfg"].items() if k in known})
    with building():
        tower: torch.nn.Module = _build_vision_tower(
            int(config.get("embed_dim", dim)), vision, quick_gelu=bool(config.get("quick_gelu", False))
        )
    return tower


def _pooled(output: Any) -> torch.Tensor:
    pooled: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return pooled
