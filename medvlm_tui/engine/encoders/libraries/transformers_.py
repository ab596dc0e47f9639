"""Image towers of transformers: CLIP, SigLIP, DINOv2. Only their configuration and tensors are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Reader, Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.libraries import openai_names
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.location import Weights
from medvlm_tui.errors import WeightsError

# What of a config.json is believed: the network's shape. Everything else in it (auto_map, attention
# implementations, file names) is never looked at.
_TRUSTED = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size",
    "num_channels", "hidden_act", "layer_norm_eps", "projection_dim", "mlp_ratio", "qkv_bias", "layerscale_value",
    "use_swiglu_ffn", "vision_use_head",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one class keeps its tensors."""

    tail: str
    """A tensor that only the image tower has, below the tower's prefix."""
    load: Callable[[torch.nn.Module, Tower, Tower], None]
    """Into the network, from the tower and the whole file."""
    features: Mapping[str, Callable[[Any], torch.Tensor]]
    """Feature name -> how it is taken from the network's output."""


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build `architecture` from the repository's config.json, or from `options.config`, and load its tower.

    `options.fixed` overrides what a config.json says. Features: CLIP's projected class token, SigLIP's pooled
    vector or the mean of its normed tokens, DINOv2's class token; not normalised.
    """
    assert weights.path is not None
    layout = LAYOUTS.get(spec.architecture)
    if layout is None or feature not in layout.features:
        raise WeightsError(f"{spec.id}: {spec.architecture} with {feature} is not served", f"{', '.join(LAYOUTS)}")
    take = layout.features[feature]
    network = build(spec.architecture, vision_config(spec, weights))
    whole = read_tower(weights.path)
    layout.load(network, *(_openai_layout(whole) or (read_tower(weights.path, layout.tail), whole)))
    return NetworkEncoder(spec, feature, network, device, precision, lambda p: take(network(pixel_values=p)))


def _openai_layout(whole: Tower) -> tuple[Tower, Tower] | None:
    """Return tower and projection of a file in OpenAI's own layout, None for every other."""
    name = next((name for name in whole.readers if name.endswith(openai_names.TAIL)), None)
    if name is None:
        return None
    visual = whole.below(name.removesuffix(openai_names.TAIL) + "visual.")
    tower, projection = openai_names.transformers_names(visual)
    return tower, projection.renamed(lambda leaf: f"visual_projection.{leaf}")


def vision_config(spec: ModelSpec, weights: Weights) -> dict[str, Any]:
    """Return the arguments of the tower's configuration class."""
    stored = weights.config("config.json")
    if stored is None:
        return {**spec.options.get("config", {}), **spec.options.get("fixed", {})}
    vision = stored.get("vision_config", stored)
    if not isinstance(vision, Mapping):
        raise WeightsError(f"{weights.path}: its config.json describes no image tower", "download it again")
    trusted = {name: vision[name] for name in _TRUSTED if name in vision}
    if "vision_config" in stored and "projection_dim" in stored:
        trusted["projection_dim"] = stored["projection_dim"]
    return {**trusted, **spec.options.get("fixed", {})}


def build(architecture: str, config: Mapping[str, Any]) -> torch.nn.Module:
    """Build one of the served classes without weights."""
    import transformers

    names = {
        "CLIPVisionModel": "CLIPVisionConfig",
        "CLIPVisionModelWithProjection": "CLIPVisionConfig",
        "SiglipVisionModel": "SiglipVisionConfig",
        "Dinov2Model": "Dinov2Config",
    }
    settings = getattr(transformers, names[architecture])(**config)
    with building():
        network: torch.nn.Module = getattr(transformers, architecture)(settings)
    return network


def _load_clip(network: torch.nn.Module, tower: Tower, whole: Tower) -> None:
    load_strictly(_inner(network), tower)
    projection = network.get_submodule("visual_projection")
    load_strictly(projection, whole.below("visual_projection."))


def _load_siglip(network: torch.nn.Module, tower: Tower, whole: Tower) -> None:
    load_strictly(_inner(network), tower)


def _load_dinov2(network: torch.nn.Module, tower: Tower, whole: Tower) -> None:
    names = network.state_dict()
    renamed = tower.renamed(lambda name: name if name in names else _dinov2_name(name))
    load_strictly(network, renamed if any(".weights_in." in name for name in names) else _split_swiglu(renamed))


def _inner(network: torch.nn.Module) -> torch.nn.Module:
    """The tower itself: some classes wrap it as `vision_model`, and transformers 5 unwrapped others."""
    inner = getattr(network, "vision_model", network)
    assert isinstance(inner, torch.nn.Module)
    return inner


# transformers 5 renamed these modules; files keep the older names.
_DINOV2_NAMES = (
    (".attention.attention.query.", ".attention.q_proj."),
    (".attention.attention.key.", ".attention.k_proj."),
    (".attention.attention.value.", ".attention.v_proj."),
    (".attention.output.dense.", ".attention.o_proj."),
    (".mlp.weights_out.", ".mlp.down_proj."),
)


def _dinov2_name(name: str) -> str:
    for stored, current in _DINOV2_NAMES:
        name = name.replace(stored, current)
    return name


def _split_swiglu(tower: Tower) -> Tower:
    """The giant's files hold gate and value of its SwiGLU as one tensor, the gate first."""
    readers = dict(tower.readers)
    for name in [name for name in readers if ".mlp.weights_in." in name]:
        reader = readers.pop(name)
        for part, current in enumerate((".mlp.gate_proj.", ".mlp.up_proj.")):
            readers[name.replace(".mlp.weights_in.", current)] = _half(reader, part)
    return Tower(tower.path, readers)


def _half(reader: Reader, part: int) -> Reader:
    return lambda: reader().chunk(2)[part]


LAYOUTS: Mapping[str, _Layout] = {
    "CLIPVisionModelWithProjection": _Layout(
        "embeddings.class_embedding", _load_clip, {"image": lambda output: output.image_embeds}
    ),
    "SiglipVisionModel": _Layout(
        "embeddings.patch_embedding.weight",
        _load_siglip,
        {
            "pooled": lambda output: output.pooler_output,
            "tokens": lambda output: output.last_hidden_state.mean(dim=1),
        },
    ),
    "Dinov2Model": _Layout(
        "embeddings.cls_token", _load_dinov2, {"cls": lambda output: output.last_hidden_state[:, 0]}
    ),
}
