"""Image towers of open_clip: OpenAI's and LAION's CLIP, EVA02, BiomedCLIP, MAKE, DermLIP, anything it can build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import timm
import torch
from open_clip.factory import get_model_config, list_models
from open_clip.model import CLIPVisionCfg, _build_vision_tower

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import (
    HINT,
    Tower,
    building,
    held,
    load_strictly,
    only_one,
    read_tower,
)
from medvlm_tui.engine.encoders.config_fields import Fields, is_number
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.resolve.saved_folders import side
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError

_SIDES = {"image_size", "patch_size"}
_TABLES = {"act_kwargs", "norm_kwargs"}
_NAMES = {"block_type", "timm_model_name"}


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
    """Return the tensors below `prefix`, also where a trainer keeps the whole model below another name."""
    assert weights.path is not None
    whole = read_tower(weights.path)
    tower = whole.below(prefix)
    if tower.readers:
        return tower
    places = {name[: at + 1] for name in whole.readers if (at := name.find(f".{prefix}")) >= 0}
    if not places:
        message = f"{weights.path} holds no tensors named {prefix}*, where this model's image tower would be"
        raise WeightsError(f"{message}; {held(whole)}", HINT)
    return whole.below(only_one(sorted(places), weights.path, f"image towers ({prefix}*)") + prefix)


def model_config(spec: ModelSpec, weights: Weights) -> Mapping[str, Any]:
    """Return open_clip's description of the model: the repository's own where it counts, else by name."""
    stored = weights.config("open_clip_config.json") if spec.options.get("read_config") else None
    if stored is not None:
        model = stored.get("model_cfg", stored)
        if isinstance(model, Mapping) and isinstance(model.get("vision_cfg"), Mapping):
            return {**model, "vision_cfg": _checked(Fields(f"{spec.id}: open_clip_config.json", model["vision_cfg"]))}
        raise WeightsError(f"{weights.path}: its open_clip_config.json describes no image tower", "download it again")
    if "vision" in spec.options:
        return {"vision_cfg": spec.options["vision"]}
    # A name with a prefix (`hf-hub:`, `local-dir:`) would be an order to fetch or read another configuration.
    if spec.architecture not in list_models():
        raise WeightsError(
            f"open_clip has no model {clean(spec.architecture)[:100]}",
            "the plain names are those of open_clip.list_models()",
        )
    return dict(get_model_config(spec.architecture) or {})


def _checked(vision: Fields) -> dict[str, Any]:
    """Return the fields of a stored description that open_clip knows, each of its own kind; raises WeightsError.

    Training options of forks are passed over. Of timm's networks a plain name is taken, which leads to no hub.
    """
    found: dict[str, Any] = {}
    for field in fields(CLIPVisionCfg):
        name = field.name
        if not vision.has(name) or name == "timm_model_pretrained":
            continue
        if name in _SIDES:
            found[name] = side(vision, name, 1)
        elif name == "layers" and isinstance(vision.values[name], list | tuple):
            found[name] = _stages(vision)
        elif name in _TABLES:
            found[name] = _numbers(vision.below(name))
        elif isinstance(field.default, bool):
            found[name] = vision.truth(name, False)
        elif isinstance(field.default, int):
            found[name] = vision.whole(name)
        elif isinstance(field.default, str) or name in _NAMES:
            found[name] = vision.text(name, "")
        else:
            vision.number(name, 0.0, 0.0, 1e6)
            found[name] = vision.values[name]
    if "timm_model_name" in found and not timm.is_model(found["timm_model_name"]):
        raise vision.wrong("timm_model_name", "a plain name of timm's own networks")
    return found


def _stages(vision: Fields) -> list[int]:
    listed = vision.values["layers"]
    if len(listed) != 4 or any(type(count) is not int or not 1 <= count <= 1000 for count in listed):
        raise vision.wrong("layers", "one number, or one for each of four stages")
    return list(listed)


def _numbers(table: Fields) -> dict[str, Any]:
    for name, value in table.values.items():
        if not isinstance(value, bool) and not is_number(value):
            raise table.wrong(name, "a number")
    return dict(table.values)


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
